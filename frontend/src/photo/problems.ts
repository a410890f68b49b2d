// Why a file can't be used, each as one sentence that says what to do.

const DETAILS = {
  empty: "The file is empty. Download it again from where it came from, then add it once more.",
  too_many_bytes: "It is larger than 100 MB. Save a smaller copy as JPEG, then add that.",
  too_many_pixels: "It has more than 200 megapixels. Save a smaller copy, then add that.",
  too_large_here: "It is too large for this device. Save a smaller copy, then add that.",
  damaged:
    "It is damaged or incomplete. Open it in your gallery to check, or copy it again from the original.",
  video: "It is a video. Choose a photo, or take a screenshot of the moment you like.",
  pdf: "It is a PDF. Save the page as a JPEG or PNG picture, then add that.",
  svg: "It is a drawing (SVG). Export it as JPEG or PNG, then add that.",
  raw: "It is a RAW or TIFF file. Export it as JPEG from your photo app, then add that.",
  unknown: "It is not a kind of photo that this page can read. Save it as JPEG or PNG, then add that.",
  unreadable: "Your device doesn't let this page read it. Save it on the device first, then add it again.",
  decoder_missing:
    "The decoder for HEIC couldn't be loaded. Check your connection, then add the photo again.",
  worker_missing:
    "The page couldn't load what it prepares photos with. Check your connection, reload the page, then add the photo again.",
  failed: "Your browser couldn't prepare it. Close other tabs and add it again, or save it as JPEG first.",
} as const;

export type ProblemReason = keyof typeof DETAILS;

export function detailOf(reason: ProblemReason): string {
  return DETAILS[reason];
}

/** A photo that can't be used, and why. */
export class UnusablePhoto extends Error {
  constructor(readonly reason: ProblemReason) {
    super(reason);
    this.name = "UnusablePhoto";
  }
}
