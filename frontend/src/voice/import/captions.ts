// Captions from a file, before the creator picks some.
import { isTooLong } from "@/api/limits";

/** A caption that was found. */
export interface FoundCaption {
  text: string;
  /** When it was posted, in seconds since 1970; null: unknown. */
  postedAt: number | null;
}

/** A file that can't be imported. The message says why, and what to do. */
export class ImportProblem extends Error {}

const HASHTAG = /[#＃][\p{L}\p{M}\p{N}_]+/u;
/** A line of hashtags, mentions' dots or other separators only, as creators put them below a caption. */
const NO_PROSE = new RegExp(`^(?:${HASHTAG.source}|[\\s.·•_|*⠀\\-–—⬇])*$`, "u");
/** Two or more hashtags at the end of a sentence. A single one may belong to it: "We love #chicago". */
const TRAILING = new RegExp(`(?:\\s*${HASHTAG.source}){2,}\\s*$`, "u");

/** Returns a caption's prose: without the hashtags below or behind it. A voice is about words. */
export function proseOf(caption: string): string {
  const lines = caption.replace(/\r\n?/g, "\n").trim().split("\n");
  while (lines.length && NO_PROSE.test(lines.at(-1) ?? "")) lines.pop();
  return lines.join("\n").replace(TRAILING, "").trim();
}

/** Returns what can be saved, each once, the newest first. Captions without a date keep their order, after the others. */
export function tidy(captions: readonly FoundCaption[]): FoundCaption[] {
  const seen = new Set<string>();
  return captions
    .map(({ text, postedAt }) => ({ text: proseOf(text), postedAt }))
    .sort((one, other) => (other.postedAt ?? 0) - (one.postedAt ?? 0))
    .filter(({ text }) => text !== "" && !isTooLong(text) && !seen.has(text) && seen.add(text));
}
