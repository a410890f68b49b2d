// The history's entry of the post that is worked on: added with its answer, kept in step with its edits.
import { useEffect } from "react";
import { chosenHashtags, type Post, selectedVariant } from "@/caption/post";
import { addToHistory, updateHistory } from "@/history/store";
import { thumbnailOf } from "@/photo/thumbnail";
import type { PreparedPhoto } from "@/photo/types";
import type { HistoryEntry } from "@/storage/database";

/** How long edits may rest before they are stored, in milliseconds. */
const REST = 500;

const added = new Set<string>();

/** Add *post* to the history. A post of which a part was written again has its entry already. */
export async function rememberPost(post: Post, photos: readonly PreparedPhoto[]): Promise<void> {
  if (added.has(post.id)) return;
  added.add(post.id);
  const thumbnails = await Promise.all(photos.map(thumbnailOf));
  await addToHistory({ id: post.id, createdAt: Date.now(), thumbnails, ...contentOf(post) });
}

/** Keep the entry of *post* as the creator edits it and chooses among its variants. */
export function useRememberedPost(post: Post | null): void {
  useEffect(() => {
    if (!post) return;
    const timer = setTimeout(() => void updateHistory(post.id, contentOf(post)), REST);
    return () => clearTimeout(timer);
  }, [post]);
}

function contentOf(post: Post): Omit<HistoryEntry, "id" | "createdAt" | "thumbnails"> {
  const { edited } = selectedVariant(post);
  return {
    caption: edited.caption,
    hashtags: chosenHashtags(edited),
    altTexts: [...post.altTexts],
    modelVersion: post.modelVersion,
  };
}
