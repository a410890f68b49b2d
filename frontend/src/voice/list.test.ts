import { describe, expect, it } from "vitest";
import { MAX_CAPTION, MAX_VOICE, MAX_VOICE_BYTES } from "@/api/limits";
import { addCaptions, removeCaption } from "./list";

describe("addCaptions", () => {
  it("puts new ones first, each once", () => {
    expect(addCaptions(["a", "b"], ["c", " b "])).toEqual(["c", "b", "a"]);
  });

  it("leaves out what the service would refuse", () => {
    expect(addCaptions(["a"], ["", "  ", "x".repeat(MAX_CAPTION + 1)])).toEqual(["a"]);
  });

  it("drops the oldest beyond the limit", () => {
    const saved = Array.from({ length: MAX_VOICE }, (_, index) => `saved ${index}`);
    const list = addCaptions(saved, ["new"]);
    expect(list).toHaveLength(MAX_VOICE);
    expect(list[0]).toBe("new");
    expect(list).not.toContain(`saved ${MAX_VOICE - 1}`);
  });

  it("stays within the bytes of a request", () => {
    const long = Array.from({ length: 40 }, (_, index) => `${index} ${"🌉".repeat(1000)}`);
    const list = addCaptions([], long);
    expect(list.length).toBeGreaterThan(10);
    expect(new TextEncoder().encode(JSON.stringify({ captions: list })).length).toBeLessThanOrEqual(
      MAX_VOICE_BYTES,
    );
  });
});

describe("removeCaption", () => {
  it("removes one", () => {
    expect(removeCaption(["a", "b"], "a")).toEqual(["b"]);
  });
});
