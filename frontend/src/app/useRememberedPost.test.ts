import "fake-indexeddb/auto";
import { expect, it, vi } from "vitest";
import type { Post } from "@/caption/post";
import { readHistory } from "@/history/store";
import type { PreparedPhoto } from "@/photo/types";
import { rememberPost, updateEntry } from "./useRememberedPost";

// Thumbnails need a browser's canvas. Here they come when the test says so.
const waiting = vi.hoisted((): ((thumbnail: Blob) => void)[] => []);
vi.mock("@/photo/thumbnail", () => ({
  thumbnailOf: () => new Promise<Blob>((resolve) => waiting.push(resolve)),
}));

function postOf(caption: string): Post {
  const draft = { caption, hashtags: [] };
  const variant = { requestId: "r", number: 0, shown: draft, edited: draft };
  return { id: "r", variants: [variant], selected: 0, altTexts: [], notices: [], modelVersion: "m/1" };
}

it("keeps an edit that comes before the thumbnails", async () => {
  const added = rememberPost(postOf("Fog."), [{} as PreparedPhoto]);
  const updated = updateEntry(postOf("Fog, then ferry."));
  for (const resolve of waiting) resolve(new Blob(["jpeg"]));
  await Promise.all([added, updated]);
  expect((await readHistory()).map(({ caption }) => caption)).toEqual(["Fog, then ferry."]);
  await rememberPost(postOf("Fog, written again."), [{} as PreparedPhoto]);
  expect(await readHistory()).toHaveLength(1);
});
