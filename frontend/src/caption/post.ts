// The post that a creator works on: what the service wrote, and what they made of it.
import type { Schemas } from "@/api/client";
import { findHashtags } from "./hashtags";
import { MOST_HASHTAGS } from "./limits";

/** A hashtag that goes into the post, or a suggestion. */
export interface Hashtag {
  /** Starts with `#`. */
  tag: string;
  /** It goes into the post. */
  chosen: boolean;
  /** Why the service chose it; null: the creator added it. */
  explanation: Schemas["Explanation"] | null;
}

export interface Draft {
  caption: string;
  hashtags: readonly Hashtag[];
}

export interface PostVariant {
  /** The request that wrote it, for feedback. */
  requestId: string;
  /** Its number in the answer to that request. */
  number: number;
  /** As the service wrote it. */
  shown: Draft;
  /** As the creator left it. */
  edited: Draft;
}

export interface Post {
  /** Id of the first request. It stays when a part is written again. */
  id: string;
  variants: readonly PostVariant[];
  /** Index of the variant in view. */
  selected: number;
  /** One for each captioned photo, as the creator left them. */
  altTexts: readonly string[];
  notices: readonly string[];
  modelVersion: string;
}

/** A post from the service's answer, not edited yet. */
export function postOf(answer: Schemas["CaptionAnswer"]): Post {
  return {
    id: answer.request_id,
    variants: answer.variants.map((variant, number) => {
      const draft = draftOf(variant);
      return { requestId: answer.request_id, number, shown: draft, edited: draft };
    }),
    selected: 0,
    altTexts: answer.alt_texts,
    notices: answer.notices,
    modelVersion: answer.model_version,
  };
}

/** A draft of a variant. Its chosen hashtags are those that the service put into the text to paste. */
export function draftOf(variant: Schemas["Variant"]): Draft {
  const inPost = new Set(variant.post.slice(variant.caption.trim().length).split(/\s+/u));
  const explanations = new Map(
    variant.explanations?.map((explanation) => [explanation.hashtag, explanation]),
  );
  return {
    caption: variant.caption,
    hashtags: variant.hashtags.map((tag) => ({
      tag,
      chosen: inPost.has(tag),
      explanation: explanations.get(tag) ?? null,
    })),
  };
}

export function selectedVariant(post: Post): PostVariant {
  const variant = post.variants[post.selected] ?? post.variants[0];
  if (!variant) throw new Error("a post has at least one variant");
  return variant;
}

export interface AltText {
  /** Index of the captioned photo. */
  photo: number;
  text: string;
}

/**
 * The alt text of each photo in *shown*; null: it has none.
 *
 * @param captioned ids of the photos as they were captioned. Since then, the creator may have moved, removed or added
 *   some.
 */
export function altTextsOf(
  post: Post,
  captioned: readonly string[],
  shown: readonly string[],
): (AltText | null)[] {
  return shown.map((id) => {
    const photo = captioned.indexOf(id);
    const text = post.altTexts[photo];
    return text === undefined ? null : { photo, text };
  });
}

/** The hashtags that go below the caption, without those that it has already. */
export function chosenHashtags(draft: Draft): string[] {
  const inline = new Set(findHashtags(draft.caption));
  return draft.hashtags.filter(({ tag, chosen }) => chosen && !inline.has(tag)).map(({ tag }) => tag);
}

/** The number of hashtags that Instagram will count: in the caption and below it. */
export function countHashtags(draft: Draft): number {
  return findHashtags(draft.caption).length + chosenHashtags(draft).length;
}

/** The text to paste: the caption, a blank line, and the chosen hashtags. */
export function pasteText(draft: Draft): string {
  return [draft.caption.trim(), chosenHashtags(draft).join(" ")].filter(Boolean).join("\n\n");
}

/** Exchange the service's hashtags for *fresh* ones. What the creator added stays. */
export function exchangeHashtags(draft: Draft, fresh: readonly Hashtag[]): Draft {
  const own = draft.hashtags.filter(({ explanation }) => explanation === null);
  const known = new Set(own.map(({ tag }) => tag));
  let room = MOST_HASHTAGS - countHashtags({ ...draft, hashtags: own });
  const others = fresh
    .filter(({ tag }) => !known.has(tag))
    .map((hashtag) => ({ ...hashtag, chosen: hashtag.chosen && room-- > 0 }));
  return { ...draft, hashtags: [...others, ...own] };
}
