import "fake-indexeddb/auto";
import { beforeEach, describe, expect, it, vi } from "vitest";
import {
  addToHistory,
  clearHistory,
  MAX_ENTRIES,
  readHistory,
  removeFromHistory,
  subscribe,
  updateHistory,
} from "./store";

const toast = vi.hoisted(() => vi.fn());
vi.mock("@/ui/toast", () => ({ toast }));

const entry = (index: number) => ({
  id: `entry-${index}`,
  createdAt: index,
  thumbnails: [],
  caption: `Caption ${index}`,
  hashtags: [],
  altTexts: [],
  modelVersion: "demo/1",
});
const ids = async () => (await readHistory()).map(({ id }) => id);

beforeEach(clearHistory);

describe("history", () => {
  it("lists the newest first", async () => {
    for (const index of [2, 1, 3]) await addToHistory(entry(index));
    expect(await ids()).toEqual(["entry-3", "entry-2", "entry-1"]);
  });

  it("keeps the newest entries only", async () => {
    for (let index = 0; index < MAX_ENTRIES + 2; index++) await addToHistory(entry(index));
    const kept = await ids();
    expect(kept).toHaveLength(MAX_ENTRIES);
    expect(kept.at(-1)).toBe("entry-2");
  });

  it("changes an entry, but none that was erased", async () => {
    await addToHistory(entry(1));
    await updateHistory("entry-1", { caption: "Edited" });
    expect(await readHistory()).toMatchObject([{ caption: "Edited", createdAt: 1 }]);
    await removeFromHistory("entry-1");
    await updateHistory("entry-1", { caption: "Back" });
    expect(await ids()).toEqual([]);
  });

  it("tells listeners of changes", async () => {
    const listener = vi.fn();
    const stop = subscribe(listener);
    await addToHistory(entry(1));
    stop();
    await clearHistory();
    expect(listener).toHaveBeenCalledTimes(1);
  });
});

describe("a browser that refuses storage", () => {
  it("is named once, and nothing fails", async () => {
    const open = vi.spyOn(indexedDB, "open").mockImplementation(() => {
      throw new DOMException("Refused.", "SecurityError");
    });
    vi.resetModules();
    const store = await import("./store");
    await store.addToHistory(entry(1));
    await store.updateHistory("entry-1", { caption: "Edited" });
    expect(await store.readHistory()).toEqual([]);
    expect(toast).toHaveBeenCalledTimes(1);
    open.mockRestore();
  });
});
