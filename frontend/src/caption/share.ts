// The share sheet of the device.
import type { PreparedPhoto } from "@/photo/types";

function filesOf(photos: readonly PreparedPhoto[]): File[] {
  return photos.map(({ jpeg }, index) => new File([jpeg], `photo-${index + 1}.jpg`, { type: "image/jpeg" }));
}

/** Whether the browser can share these photos with an app. */
export function canShare(photos: readonly PreparedPhoto[]): boolean {
  return photos.length > 0 && (navigator.canShare?.({ files: filesOf(photos) }) ?? false);
}

/** Open the share sheet. False if the creator closed it, or nothing could be shared. */
export async function share(photos: readonly PreparedPhoto[]): Promise<boolean> {
  return navigator.share({ files: filesOf(photos) }).then(
    () => true,
    () => false,
  );
}
