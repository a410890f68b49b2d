import { describe, expect, it } from "vitest";
import { DEFAULT_OPTIONS, isCaptionOptions, summaryOf } from "./remembered";

describe("isCaptionOptions", () => {
  it("accepts what was stored", () => {
    expect(isCaptionOptions(JSON.parse(JSON.stringify(DEFAULT_OPTIONS)))).toBe(true);
  });

  it.each([
    null,
    "playful",
    {},
    { ...DEFAULT_OPTIONS, tone: "angry" },
    { ...DEFAULT_OPTIONS, hashtags: 31 },
    { ...DEFAULT_OPTIONS, variants: 2.5 },
    { ...DEFAULT_OPTIONS, hint: "x".repeat(101) },
    { ...DEFAULT_OPTIONS, location: undefined },
  ])("rejects %j", (stored) => {
    expect(isCaptionOptions(stored)).toBe(false);
  });
});

it("sums up what is set", () => {
  expect(summaryOf(DEFAULT_OPTIONS)).toBe("8 hashtags");
  expect(
    summaryOf({ ...DEFAULT_OPTIONS, length: "short", emoji: "none", location: "Lisbon", variants: 3 }),
  ).toBe("Short · no emoji · Lisbon · 8 hashtags · 3 captions");
});
