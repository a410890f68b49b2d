// Color spaces of HEIF files. Cameras write sRGB or Display P3.
import { itemProperties } from "./boxes";

/** Display P3's primaries in `nclx` color information (ITU-T H.273). */
const P3_PRIMARIES = 12;
/** The X of Display P3's red in an ICC profile. It is 0.436 in sRGB, and 0.610 in Adobe RGB. */
const P3_RED = 0.515;

/** The color space that the pixels of *file* are in. Anything but Display P3 counts as sRGB. */
export function colorSpaceOf(file: Uint8Array): PredefinedColorSpace {
  for (const { type, content } of itemProperties(file)) {
    if (type === "colr" && isDisplayP3(content)) return "display-p3";
  }
  return "srgb";
}

function isDisplayP3(colr: DataView): boolean {
  try {
    const kind = tagAt(colr, 0);
    if (kind === "nclx") return colr.getUint16(4) === P3_PRIMARIES;
    const red = redOf(new DataView(colr.buffer, colr.byteOffset + 4, colr.byteLength - 4));
    return red !== null && Math.abs(red - P3_RED) < 0.01;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

/** The X of the tag `rXYZ` (ICC.1, 7.3 and 10.31). */
function redOf(profile: DataView): number | null {
  const tags = profile.getUint32(128);
  for (let entry = 132; entry < 132 + 12 * tags; entry += 12) {
    if (tagAt(profile, entry) === "rXYZ") return profile.getInt32(profile.getUint32(entry + 4) + 8) / 65_536;
  }
  return null;
}

function tagAt(view: DataView, offset: number): string {
  return String.fromCharCode(...[0, 1, 2, 3].map((index) => view.getUint8(offset + index)));
}
