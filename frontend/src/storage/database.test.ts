import "fake-indexeddb/auto";
import { openDB } from "idb";
import { expect, it } from "vitest";
import { openDatabase } from "./database";

it("makes way for a newer release in another tab", async () => {
  await (await openDatabase()).getAll("history");
  const newer = await openDB("snap2caption", 2);
  expect(newer.version).toBe(2);
  // This tab then has no storage, which its callers know how to do without.
  await expect(openDatabase()).rejects.toThrow(DOMException);
});
