// Captions in the JSON files of Instagram's data export.
import type { FoundCaption } from "./captions";

/**
 * Where the export has captions: posts and reels of the creator's own, not stories, messages or reposts.
 *
 * Exports up to 2024 have them in `content`, later ones in `media`.
 */
const POSTS = /(?:^|\/)(?:content|media)\/(?:posts(?:_\d+)?|reels|igtv_videos|archived_posts)\.(json|html)$/i;

/** Returns the kind of file that *path* is in an export, or null if it has no captions. */
export function postsFormat(path: string): "json" | "html" | null {
  return (POSTS.exec(path)?.[1]?.toLowerCase() as "json" | "html" | undefined) ?? null;
}

/** Returns the captions in a parsed file of the export, in its order. */
export function captionsIn(content: unknown): FoundCaption[] {
  return entriesOf(content).flatMap((entry) => {
    const media = entriesOf(entry.media);
    const first = media[0];
    // A post of one picture has its caption there, a carousel at the top.
    const text = [entry.title, first?.title].find(
      (title) => typeof title === "string" && title.trim() !== "",
    );
    if (typeof text !== "string") return [];
    const postedAt = [entry.creation_timestamp, first?.creation_timestamp].find(
      (at) => typeof at === "number",
    );
    return [{ text: repairEncoding(text), postedAt: typeof postedAt === "number" ? postedAt : null }];
  });
}

/**
 * Returns *text* as it was written.
 *
 * Instagram escapes the bytes of UTF-8 as if each were a character of Latin-1: 🌉 becomes `ð\u009f\u008c\u0089`. Text
 * that isn't damaged in this way stays as it is.
 */
export function repairEncoding(text: string): string {
  const codes = Array.from(text, (character) => character.codePointAt(0) ?? 0);
  if (codes.some((code) => code > 0xff)) return text;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.from(codes));
  } catch {
    return text;
  }
}

type Entry = Record<string, unknown>;

/** Posts are a list, reels and others a list in an object with one member (`ig_reels_media`). */
function entriesOf(content: unknown): Entry[] {
  if (Array.isArray(content)) return content.filter(isEntry);
  if (!isEntry(content)) return [];
  return Object.values(content).flatMap((value) => (Array.isArray(value) ? value.filter(isEntry) : []));
}

function isEntry(value: unknown): value is Entry {
  return typeof value === "object" && value !== null;
}
