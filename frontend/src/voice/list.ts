// The list of saved captions, within the service's limits.
import { isTooLong, MAX_VOICE, MAX_VOICE_BYTES } from "@/api/limits";

/**
 * Put *added* before *saved*, the newest first.
 *
 * A caption that is in both moves to the front. Captions that are empty or too long are left out, and the oldest ones
 * where there are too many.
 */
export function addCaptions(saved: readonly string[], added: readonly string[]): string[] {
  const usable = [...added, ...saved]
    .map((caption) => caption.trim())
    .filter((caption) => caption && !isTooLong(caption));
  const list = [...new Set(usable)].slice(0, MAX_VOICE);
  while (sizeOf(list) > MAX_VOICE_BYTES) list.pop();
  return list;
}

export function removeCaption(saved: readonly string[], caption: string): string[] {
  return saved.filter((other) => other !== caption);
}

/** Bytes of the JSON in which *captions* are sent. */
function sizeOf(captions: readonly string[]): number {
  return new TextEncoder().encode(JSON.stringify({ captions })).length;
}
