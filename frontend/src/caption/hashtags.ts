// Hashtags in text. The rules are those of snap2caption/hashtags/text.py, without its rare cases.
const LONGEST = 100;
const TAG = String.raw`[\p{L}\p{M}\p{N}_]+`;
const WHOLE = new RegExp(`^${TAG}$`, "u");
// Not within an entity, an address or a name: `&#39;`, `/#top`, `@#`.
const IN_TEXT = new RegExp(`(?<![&/@#＃])[#＃]+${TAG}`, "gu");

/** Return the hashtag that *text* means, as `#tag` in lower case; null if it can't be one. */
export function normalizeHashtag(text: string): string | null {
  const tag = text.normalize("NFKC").replaceAll(/[\s#]/gu, "").toLowerCase();
  const valid = WHOLE.test(tag) && /\p{L}/u.test(tag) && tag.length <= LONGEST;
  return valid ? `#${tag}` : null;
}

/** Return the hashtags that a creator typed or pasted, such as `#sf, #bay`; null if a part can't be one. */
export function parseHashtags(text: string): string[] | null {
  const parts = text.split(/[,;]|(?=[#＃])/u).filter((part) => /[^\s#＃]/u.test(part));
  const tags = parts.map(normalizeHashtag).filter((tag) => tag !== null);
  return parts.length > 0 && tags.length === parts.length ? tags : null;
}

/** Return the hashtags in *text*, each once, normalized. */
export function findHashtags(text: string): string[] {
  const tags = (text.match(IN_TEXT) ?? []).map(normalizeHashtag);
  return [...new Set(tags.filter((tag) => tag !== null))];
}

/** Split *text* at its hashtags. Joined again, the parts are *text*. */
export function splitHashtags(text: string): { text: string; isHashtag: boolean }[] {
  const parts: { text: string; isHashtag: boolean }[] = [];
  let end = 0;
  for (const match of text.matchAll(IN_TEXT)) {
    if (normalizeHashtag(match[0]) === null) continue;
    if (match.index > end) parts.push({ text: text.slice(end, match.index), isHashtag: false });
    parts.push({ text: match[0], isHashtag: true });
    end = match.index + match[0].length;
  }
  if (end < text.length) parts.push({ text: text.slice(end), isHashtag: false });
  return parts;
}
