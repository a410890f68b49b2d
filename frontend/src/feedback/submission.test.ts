import { describe, expect, it } from "vitest";
import { MAX_CAPTION, MAX_HASHTAGS } from "@/api/limits";
import { isSame, toSubmission } from "./submission";

const shown = { caption: "Fog, then ferry.", hashtags: ["#fog", "#sf"] };
const silent = { rating: null, reason: "", flag: false } as const;
const about = { request_id: "r", variant: 1 };

describe("toSubmission", () => {
  it("has nothing to say without a rating, an edit, a reason or a flag", () => {
    expect(toSubmission("r", 1, silent, shown, shown)).toBeNull();
  });

  it("says only what the creator said", () => {
    expect(toSubmission("r", 1, { ...silent, rating: 4 }, shown, shown)).toEqual({ ...about, rating: 4 });
    expect(toSubmission("r", 1, { rating: 1, reason: "wrong_place", flag: true }, shown, shown)).toEqual({
      ...about,
      rating: 1,
      reason: "wrong_place",
      flag: true,
    });
  });

  it("sends what was edited", () => {
    const edited = { caption: "Fog, then the bridge. ", hashtags: ["#fog"] };
    expect(toSubmission("r", 1, silent, shown, edited)).toEqual({
      ...about,
      edited_caption: "Fog, then the bridge.",
      edited_hashtags: ["#fog"],
    });
    expect(toSubmission("r", 1, silent, shown, { ...shown, hashtags: [] })).toEqual({
      ...about,
      edited_hashtags: [],
    });
  });

  it("leaves out what the service would refuse", () => {
    for (const caption of ["", "  ", "x".repeat(MAX_CAPTION + 1)]) {
      expect(toSubmission("r", 1, silent, shown, { ...shown, caption })).toBeNull();
    }
    const many = Array.from({ length: 40 }, (_, index) => `#tag${index}`);
    expect(toSubmission("r", 1, silent, shown, { ...shown, hashtags: many })?.edited_hashtags).toHaveLength(
      MAX_HASHTAGS,
    );
  });
});

describe("isSame", () => {
  it("ignores the order of fields", () => {
    expect(
      isSame({ request_id: "r", variant: 0, rating: 5 }, { rating: 5, variant: 0, request_id: "r" }),
    ).toBe(true);
    expect(
      isSame({ request_id: "r", variant: 0, rating: 5 }, { request_id: "r", variant: 0, rating: 4 }),
    ).toBe(false);
  });
});
