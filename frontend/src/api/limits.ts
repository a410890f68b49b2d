// Limits of what the service takes.

/** Characters of a caption. */
export const MAX_CAPTION = 2200;
/** Hashtags of an edit. */
export const MAX_HASHTAGS = 30;
/** Captions of a voice. */
export const MAX_VOICE = 50;
/** Bytes of the JSON in which a voice is sent. */
export const MAX_VOICE_BYTES = 64 * 1024;

/** Returns whether the service would refuse *caption*. It counts code points of the normalized text. */
export function isTooLong(caption: string): boolean {
  return Array.from(caption.trim().normalize("NFC")).length > MAX_CAPTION;
}
