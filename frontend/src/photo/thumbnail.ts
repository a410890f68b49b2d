import { encodeJpeg } from "./encode";
import { fitWithin } from "./scale";
import type { PreparedPhoto } from "./types";

const LONGER_SIDE = 320;

/** A JPEG of *photo* for the history, with at most 320 pixels on its longer side. */
export async function thumbnailOf(photo: PreparedPhoto): Promise<Blob> {
  const { width, height } = fitWithin(photo, LONGER_SIDE);
  const picture = await createImageBitmap(photo.jpeg, {
    resizeWidth: width,
    resizeHeight: height,
    resizeQuality: "high",
  });
  try {
    return (await encodeJpeg(picture, LONGER_SIDE, 0.8)).jpeg;
  } finally {
    picture.close();
  }
}
