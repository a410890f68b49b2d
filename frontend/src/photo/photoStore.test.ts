import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { EncodedPhoto } from "./encode";
import { MAX_PHOTOS, PhotoStore } from "./photoStore";
import { UnusablePhoto } from "./problems";

const photo: EncodedPhoto = { jpeg: new Blob(["x"]), width: 4, height: 3 };
const revoke = vi.spyOn(URL, "revokeObjectURL");

function file(name: string): File {
  return new File(["x"], name);
}

function names(store: PhotoStore): string[] {
  return store.get().photos.map(({ name }) => name);
}

function idOf(store: PhotoStore, name: string): string {
  return store.get().photos.find((candidate) => candidate.name === name)?.id ?? "";
}

describe("PhotoStore", () => {
  let store: PhotoStore;
  beforeEach(async () => {
    store = new PhotoStore(async (added) => {
      if (added.name.endsWith(".pdf")) throw new UnusablePhoto("pdf");
      if (added.name.endsWith(".bug")) throw new TypeError("a bug");
      return photo;
    });
    await store.add(["a", "b", "c"].map(file));
  });
  afterEach(() => revoke.mockClear());

  it("keeps photos in the order in which they are added", async () => {
    const added = store.add([file("d"), file("e")]);
    expect(store.get().preparing).toBe(2);
    await added;
    expect(names(store)).toEqual(["a", "b", "c", "d", "e"]);
    expect(store.get().preparing).toBe(0);
  });

  it("names what can't be used, until more is added or it is dismissed", async () => {
    await store.add([file("menu.pdf"), file("d"), file("odd.bug")]);
    expect(names(store)).toEqual(["a", "b", "c", "d"]);
    const [pdf, bug] = store.get().problems;
    expect([pdf?.name, bug?.name]).toEqual(["menu.pdf", "odd.bug"]);
    expect(pdf?.detail).toMatch("It is a PDF.");
    expect(bug?.detail).toMatch("Your browser couldn't prepare it.");
    store.dismissProblem(pdf?.id ?? "");
    expect(store.get().problems).toEqual([bug]);
    await store.add([file("e")]);
    expect(store.get().problems).toEqual([]);
  });

  it("takes ten photos, those being prepared included, and names the others", async () => {
    const first = store.add(["d", "e", "f", "g", "h"].map(file));
    const second = store.add(["i", "j", "k", "l", "m", "n"].map(file));
    expect(store.get().problems.map(({ name }) => name)).toEqual(["k, l, m and 1 more"]);
    await Promise.all([first, second]);
    expect(names(store)).toEqual(["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]);
    expect(names(store)).toHaveLength(MAX_PHOTOS);
  });

  it("moves photos, at most to an end", () => {
    store.move(idOf(store, "a"), 1);
    expect(names(store)).toEqual(["b", "a", "c"]);
    store.move(idOf(store, "a"), -5);
    store.move(idOf(store, "b"), 5);
    expect(names(store)).toEqual(["a", "c", "b"]);
    store.move("gone", 1);
    expect(names(store)).toEqual(["a", "c", "b"]);
  });

  it("gives the memory of removed photos back", () => {
    store.remove(idOf(store, "b"));
    expect(names(store)).toEqual(["a", "c"]);
    expect(revoke).toHaveBeenCalledTimes(1);
  });
});
