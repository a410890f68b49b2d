// The history's entry of the post that is worked on: added with its answer, kept in step with its edits.
import { useEffect } from "react";
import { chosenHashtags, type Post, selectedVariant } from "@/caption/post";
import { addToHistory, updateHistory } from "@/history/store";
import { thumbnailOf } from "@/photo/thumbnail";
import type { PreparedPhoto } from "@/photo/types";
import type { HistoryEntry } from "@/storage/database";

/** How long edits may rest before they are stored, in milliseconds. */
const REST = 500;

/** The entries by the posts' ids, each once it is stored. */
const entries = new Map<string, Promise<void>>();

/** Add *post* to the history. A post of which a part was written again has its entry already. */
export function rememberPost(post: Post, photos: readonly PreparedPhoto[]): Promise<void> {
  const entry = entries.get(post.id) ?? addEntry(post, photos);
  entries.set(post.id, entry);
  return entry;
}

/** Bring the entry of *post* up to date, which may still wait for its thumbnails. */
export async function updateEntry(post: Post): Promise<void> {
  await entries.get(post.id);
  await updateHistory(post.id, contentOf(post));
}

/** Keep the entry of *post* as the creator edits it and chooses among its variants. */
export function useRememberedPost(post: Post | null): void {
  useEffect(() => {
    if (!post) return;
    const timer = setTimeout(() => void updateEntry(post), REST);
    return () => clearTimeout(timer);
  }, [post]);
}

async function addEntry(post: Post, photos: readonly PreparedPhoto[]): Promise<void> {
  const thumbnails = await Promise.all(photos.map(thumbnailOf));
  await addToHistory({ id: post.id, createdAt: Date.now(), thumbnails, ...contentOf(post) });
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
