import { useEffect, useState } from "react";

/** A picture from a blob. */
export function Thumbnail({ picture, alt }: { picture: Blob; alt: string }) {
  const [url, setUrl] = useState<string>();
  useEffect(() => {
    const created = URL.createObjectURL(picture);
    setUrl(created);
    return () => URL.revokeObjectURL(created);
  }, [picture]);
  return (
    <div className="size-20 shrink-0 overflow-hidden rounded-2xl bg-sunken sm:size-28">
      {url && <img src={url} alt={alt} className="size-full object-cover" loading="lazy" />}
    </div>
  );
}
