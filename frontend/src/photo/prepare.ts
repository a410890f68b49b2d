// Preparation of one photo: checked, decoded, turned upright, scaled down, and encoded without metadata.
import { dimensionsOf } from "./dimensions";
import { type EncodedPhoto, encodeJpeg } from "./encode";
import { kindOf, MEDIA_TYPES, type OtherKind, type PhotoKind } from "./kinds";
import { UnusablePhoto } from "./problems";
import { fitWithin, reducedWidth, type Size } from "./scale";

/** Pixels of the longer side: sharp in the preview, and more than most models look at. */
const LONGER_SIDE = 1600;
const QUALITY = 0.9;
const MAX_BYTES = 100_000_000;
const MAX_PIXELS = 200_000_000;
/** Photos of up to this size are decoded by every phone of today. */
const USUAL_PIXELS = 50_000_000;
/** Where a JPEG's size stands depends on the metadata before it. */
const HEAD_BYTES = 2 ** 20;

/** @throws UnusablePhoto with the reason. */
export async function prepare(file: Blob): Promise<EncodedPhoto> {
  if (file.size === 0) throw new UnusablePhoto("empty");
  const head = await read(file.slice(0, HEAD_BYTES));
  const kind = kindOf(head);
  if (!isPhoto(kind)) throw new UnusablePhoto(kind);
  if (file.size > MAX_BYTES) throw new UnusablePhoto("too_many_bytes");
  const size = dimensionsOf(kind, head);
  if (size && size.width * size.height > MAX_PIXELS) throw new UnusablePhoto("too_many_pixels");
  const picture = await decode(file, kind, size);
  try {
    return await encodeJpeg(picture, LONGER_SIDE, QUALITY);
  } finally {
    picture.close();
  }
}

function isPhoto(kind: PhotoKind | OtherKind): kind is PhotoKind {
  return kind in MEDIA_TYPES;
}

async function read(file: Blob): Promise<Uint8Array> {
  try {
    return new Uint8Array(await file.arrayBuffer());
  } catch {
    // It was moved or changed since, or it is in a cloud that can't be reached.
    throw new UnusablePhoto("unreadable");
  }
}

async function decode(file: Blob, kind: PhotoKind, size: Size | null): Promise<ImageBitmap> {
  const resizeWidth = size ? reducedWidth(size, LONGER_SIDE) : undefined;
  try {
    // Some browsers go by the media type, which is the file's ending for what was dropped. All turn photos upright
    // unless told otherwise; `imageOrientation: "from-image"` says the same, but older ones refuse to know it.
    const photo = new Blob([file], { type: MEDIA_TYPES[kind] });
    return await createImageBitmap(photo, resizeWidth ? { resizeWidth, resizeQuality: "high" } : {});
  } catch {
    if (kind === "heic") return decodeHeic(await read(file));
    throw new UnusablePhoto(size && size.width * size.height > USUAL_PIXELS ? "too_large_here" : "damaged");
  }
}

async function decodeHeic(file: Uint8Array): Promise<ImageBitmap> {
  const { decodeHeif } = await loadDecoder();
  let pixels: ImageData;
  try {
    pixels = await decodeHeif(file);
  } catch {
    throw new UnusablePhoto("damaged");
  }
  const { width, height } = fitWithin(pixels, LONGER_SIDE);
  return createImageBitmap(pixels, { resizeWidth: width, resizeHeight: height, resizeQuality: "high" });
}

async function loadDecoder(): Promise<typeof import("./heif")> {
  try {
    const decoder = await import("./heif");
    await decoder.ready();
    return decoder;
  } catch {
    throw new UnusablePhoto("decoder_missing");
  }
}
