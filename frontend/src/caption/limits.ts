// Instagram's limits. Characters are code points, as in the service (snap2caption/post.py), so that both agree: an
// emoji with a skin tone counts as two, in UTF-16 it would be four.

/** What Instagram shows of a caption before "more". */
export const SHOWN_CHARACTERS = 125;
/** The longest post, with its hashtags. */
export const MOST_CHARACTERS = 2200;
/** Hashtags of a post since December 2025, those in its caption included. */
export const MOST_HASHTAGS = 5;
/** Hashtags of a post before that, and of accounts that don't have the new limit yet. */
export const MOST_HASHTAGS_BEFORE = 30;
/** Characters of an alt text. */
export const MOST_ALT_TEXT = 1000;

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

export function countCharacters(text: string): number {
  return Array.from(text).length;
}

/** Cut *text* to *most* characters, never within an emoji or a letter with its accents. */
export function cut(text: string, most: number): string {
  let end = 0;
  let count = 0;
  for (const { segment, index } of graphemes.segment(text)) {
    count += countCharacters(segment);
    if (count > most) break;
    end = index + segment.length;
  }
  return text.slice(0, end);
}

/** What Instagram shows of *text* before "more"; the whole of it if it is short enough. */
export function fold(text: string): string {
  return countCharacters(text) <= SHOWN_CHARACTERS ? text : cut(text, SHOWN_CHARACTERS).trimEnd();
}
