// Kinds of files, told by their first bytes. Names and media types are not to be trusted.

export type PhotoKind = "jpeg" | "png" | "webp" | "gif" | "heic" | "avif";
export type OtherKind = "video" | "pdf" | "svg" | "raw" | "unknown";

export const MEDIA_TYPES: Record<PhotoKind, string> = {
  jpeg: "image/jpeg",
  png: "image/png",
  webp: "image/webp",
  gif: "image/gif",
  heic: "image/heic",
  avif: "image/avif",
};

/** Photo formats of cameras: TIFF (most RAW formats, and TIFF itself), Fujifilm, Panasonic, Olympus. */
const RAW_STARTS = ["II*\0", "MM\0*", "FUJIFILMCCD-RAW", "IIU\0", "IIRO", "IIRS", "MMOR"];
/** Matroska and WebM, MPEG, Flash, Windows Media. */
const VIDEO_STARTS = ["\x1aE\xdf\xa3", "\0\0\x01\xb3", "\0\0\x01\xba", "FLV\x01", "0&\xb2u"];
const HEIC_BRANDS = ["heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs", "mif1", "msf1"];
const AVIF_BRANDS = ["avif", "avis"];

/** @param head the file's start; 4 KiB are enough. */
export function kindOf(head: Uint8Array): PhotoKind | OtherKind {
  const text = latin1(head.subarray(0, 4096));
  if (text.startsWith("\xff\xd8\xff")) return "jpeg";
  if (text.startsWith("\x89PNG\r\n\x1a\n")) return "png";
  if (/^GIF8[79]a/.test(text)) return "gif";
  if (text.startsWith("RIFF") && text.startsWith("WEBP", 8)) return "webp";
  if (text.startsWith("RIFF") && text.startsWith("AVI ", 8)) return "video";
  if (text.startsWith("ftyp", 4)) return kindOfBrands(text);
  if (RAW_STARTS.some((start) => text.startsWith(start))) return "raw";
  if (VIDEO_STARTS.some((start) => text.startsWith(start))) return "video";
  if (text.slice(0, 1024).includes("%PDF-")) return "pdf";
  if (/^(\xef\xbb\xbf)?\s*</.test(text) && /<svg[\s>]/i.test(text)) return "svg";
  return "unknown";
}

/** ISO base media files: the major brand, a version, then the brands that the file is compatible with. */
function kindOfBrands(text: string): PhotoKind | OtherKind {
  const size = (text.charCodeAt(2) << 8) | text.charCodeAt(3);
  const brands = text.slice(8, size).match(/.{4}/gs) ?? [];
  const [major = ""] = brands;
  if (major === "crx ") return "raw";
  if (!HEIC_BRANDS.includes(major) && !AVIF_BRANDS.includes(major)) return "video";
  return brands.some((brand) => AVIF_BRANDS.includes(brand)) ? "avif" : "heic";
}

/** Bytes as a string of the same length, one character a byte. */
function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}
