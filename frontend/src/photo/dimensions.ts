// Dimensions of photos, read from their headers without decoding them.
import { itemProperties } from "./boxes";
import type { PhotoKind } from "./kinds";
import type { Size } from "./scale";

type Reader = (view: DataView) => Size | null;

const READERS: Record<PhotoKind, Reader> = {
  jpeg: ofJpeg,
  png: (view) => ({ width: view.getUint32(16), height: view.getUint32(20) }),
  gif: (view) => ({ width: view.getUint16(6, true), height: view.getUint16(8, true) }),
  webp: ofWebp,
  heic: ofHeif,
  avif: ofHeif,
};

/**
 * The size that a photo's header claims, as it is stored: before it is turned upright.
 *
 * @param head the file's start. Null if it is too short to tell, or damaged.
 */
export function dimensionsOf(kind: PhotoKind, head: Uint8Array): Size | null {
  try {
    return READERS[kind](new DataView(head.buffer, head.byteOffset, head.byteLength));
  } catch (error) {
    // A read past the end: the file is cut off.
    if (error instanceof RangeError) return null;
    throw error;
  }
}

/** JPEG: the first "start of frame" segment. */
function ofJpeg(view: DataView): Size | null {
  let offset = 2;
  for (;;) {
    if (view.getUint8(offset) !== 0xff) return null;
    const marker = view.getUint8(offset + 1);
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (isFrame) return { width: view.getUint16(offset + 7), height: view.getUint16(offset + 5) };
    if (marker === 0xda) return null;
    // Any number of 0xff may stand before a marker.
    offset += marker === 0xff ? 1 : 2 + view.getUint16(offset + 2);
  }
}

/** WebP: extended, lossless or lossy. */
function ofWebp(view: DataView): Size | null {
  switch (view.getUint32(12)) {
    case 0x56503858: // "VP8X": 24 bits each, less one
      return {
        width: (view.getUint32(24, true) & 0xffffff) + 1,
        height: (view.getUint32(26, true) >>> 8) + 1,
      };
    case 0x5650384c: {
      // "VP8L": 14 bits each, less one
      const bits = view.getUint32(21, true);
      return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 };
    }
    case 0x56503820: // "VP8 "
      return { width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff };
    default:
      return null;
  }
}

/** HEIF: the largest of its pictures. The others are tiles, thumbnails and depth maps. */
function ofHeif(view: DataView): Size | null {
  let largest: Size | null = null;
  for (const { type, content } of itemProperties(
    new Uint8Array(view.buffer, view.byteOffset, view.byteLength),
  )) {
    if (type !== "ispe") continue;
    const size = { width: content.getUint32(4), height: content.getUint32(8) };
    if (!largest || size.width * size.height > largest.width * largest.height) largest = size;
  }
  return largest;
}
