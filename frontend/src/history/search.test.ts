import { describe, expect, it } from "vitest";
import { search } from "./search";

const entry = (id: string, caption: string, hashtags: string[] = [], altTexts: string[] = []) => ({
  id,
  createdAt: 0,
  thumbnails: [],
  caption,
  hashtags,
  altTexts,
  modelVersion: "demo/1",
});

const entries = [
  entry("bridge", "Fog, then the bridge.", ["#goldengate"], ["A red bridge in fog."]),
  entry("cafe", "Café au lait ☕", ["#paris"]),
  entry("night", "ليلة هادئة", ["#night"]),
];
const found = (query: string) => search(entries, query).map(({ id }) => id);

describe("search", () => {
  it("finds captions, hashtags and alt texts", () => {
    expect(found("bridge")).toEqual(["bridge"]);
    expect(found("#paris")).toEqual(["cafe"]);
    expect(found("red")).toEqual(["bridge"]);
    expect(found("ليلة")).toEqual(["night"]);
  });

  it("ignores case and accents", () => {
    expect(found("CAFE")).toEqual(["cafe"]);
    expect(found("fóg")).toEqual(["bridge"]);
  });

  it("wants all words, in any order", () => {
    expect(found("gate fog")).toEqual(["bridge"]);
    expect(found("fog paris")).toEqual([]);
  });

  it("finds everything without words", () => {
    expect(found("  ")).toEqual(["bridge", "cafe", "night"]);
  });
});
