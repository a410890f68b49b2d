// Encoding: a decoded picture becomes an sRGB JPEG without metadata.
import { fitWithin, type Size } from "./scale";

export interface EncodedPhoto extends Size {
  jpeg: Blob;
}

/**
 * Encode *picture*, scaled down so that its longer side has at most *limit* pixels, on white where it is
 * transparent. The canvas converts its colors to sRGB.
 */
export async function encodeJpeg(
  picture: ImageBitmap,
  limit: number,
  quality: number,
): Promise<EncodedPhoto> {
  const { width, height } = fitWithin(picture, limit);
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { colorSpace: "srgb" });
  if (!context) throw new Error("no canvas");
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, width, height);
  return { jpeg: await canvas.convertToBlob({ type: "image/jpeg", quality }), width, height };
}
