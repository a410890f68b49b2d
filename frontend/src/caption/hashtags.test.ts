import { describe, expect, it } from "vitest";
import { findHashtags, normalizeHashtag, parseHashtags, splitHashtags } from "./hashtags";

describe("normalizeHashtag", () => {
  it.each([
    ["Golden Gate", "#goldengate"],
    ["##Fog", "#fog"],
    ["＃夏", "#夏"],
    ["#été", "#été"],
    ["غروب", "#غروب"],
  ])("reads %s as %s", (text, tag) => expect(normalizeHashtag(text)).toBe(tag));

  it.each(["", "#", "#1", "fog!", "🌊", "a".repeat(101)])("rejects %s", (text) =>
    expect(normalizeHashtag(text)).toBeNull(),
  );
});

describe("parseHashtags", () => {
  it.each([
    ["Karl the Fog", ["#karlthefog"]],
    ["#sf #Sunset#bay", ["#sf", "#sunset", "#bay"]],
    ["fog, ferry; #sea,", ["#fog", "#ferry", "#sea"]],
    ["##sf ＃夏", ["#sf", "#夏"]],
  ])("reads %s", (text, tags) => expect(parseHashtags(text)).toEqual(tags));

  it.each(["", "# ,", "#sf #1"])("rejects %s", (text) => expect(parseHashtags(text)).toBeNull());
});

describe("findHashtags", () => {
  it("finds each once", () => {
    expect(findHashtags("We love #Chicago in June. #chicago #fog#sea")).toEqual(["#chicago", "#fog", "#sea"]);
  });

  it("finds none in numbers, entities and addresses", () => {
    expect(findHashtags("We are #1 &#x27; example.com/#top")).toEqual([]);
  });
});

describe("splitHashtags", () => {
  it("keeps all of the text", () => {
    const text = "We are #1 in #Fog, today #sf";
    const parts = splitHashtags(text);
    expect(parts.map((part) => part.text).join("")).toBe(text);
    expect(parts.filter((part) => part.isHashtag).map((part) => part.text)).toEqual(["#Fog", "#sf"]);
  });
});
