import { describe, expect, it } from "vitest";
import { isTooLong, MAX_CAPTION } from "./limits";

describe("isTooLong", () => {
  it("counts code points of the normalized text", () => {
    expect(isTooLong("🌉".repeat(MAX_CAPTION))).toBe(false);
    expect(isTooLong("e\u0301".repeat(MAX_CAPTION))).toBe(false);
    expect(isTooLong("x".repeat(MAX_CAPTION + 1))).toBe(true);
  });
});
