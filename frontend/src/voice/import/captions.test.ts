import { describe, expect, it } from "vitest";
import { proseOf, tidy } from "./captions";

describe("proseOf", () => {
  it.each([
    ["Fog, then ferry.\n.\n.\n.\n#fog #sf", "Fog, then ferry."],
    ["Fog, then ferry. #fog #sf\n", "Fog, then ferry."],
    ["We love #chicago", "We love #chicago"],
    ["Two lines,\r\none thought.", "Two lines,\none thought."],
    ["#fog #sf", ""],
    ["...", ""],
    ["✨", "✨"],
    ["ليلة هادئة\n#ليل #مدينة", "ليلة هادئة"],
  ])("of %j is %j", (caption, prose) => {
    expect(proseOf(caption)).toBe(prose);
  });
});

describe("tidy", () => {
  it("sorts by date, and drops repetitions and captions without words", () => {
    const found = [
      { text: "Old", postedAt: 1 },
      { text: "New #a #b", postedAt: 3 },
      { text: "#only #tags", postedAt: 4 },
      { text: "New", postedAt: 2 },
    ];
    expect(tidy(found)).toEqual([
      { text: "New", postedAt: 3 },
      { text: "Old", postedAt: 1 },
    ]);
  });

  it("drops what is too long for a caption", () => {
    const found = ["a".repeat(2201), "b".repeat(2200)].map((text) => ({ text, postedAt: null }));
    expect(tidy(found)).toEqual(found.slice(1));
  });

  it("keeps the order of captions without a date", () => {
    const texts = ["b", "a", "c"].map((text) => ({ text, postedAt: null }));
    expect(tidy(texts)).toEqual(texts);
  });
});
