import { PhotoPicker } from "@/photo/PhotoPicker";
import { usePhotos } from "@/photo/usePhotos";

export function CreateView() {
  const photos = usePhotos();
  return (
    <>
      <h1 className="text-2xl font-extrabold">Your photo, captioned</h1>
      <PhotoPicker {...photos} />
    </>
  );
}
