// Captions in a text file.
import type { FoundCaption } from "./captions";

/** Returns the captions of a text: separated by blank lines or, if there are none, one in each line. */
export function captionsInText(text: string): FoundCaption[] {
  const lines = text
    .replace(/^\ufeff/, "")
    .replace(/\r\n?/g, "\n")
    .trim();
  const separator = /\n[^\S\n]*\n\s*/;
  return lines
    .split(separator.test(lines) ? separator : "\n")
    .map((caption) => ({ text: caption, postedAt: null }));
}
