import { describe, expect, it } from "vitest";
import { countCharacters, cut, fold } from "./limits";

const WAVE = "👋🏽"; // A hand and a skin tone: two code points, four units of UTF-16, one character on the screen.

describe("countCharacters", () => {
  it("counts code points, as the service does", () => {
    expect(countCharacters("")).toBe(0);
    expect(countCharacters("Küste")).toBe(5);
    expect(countCharacters(`Hi ${WAVE}`)).toBe(5);
  });
});

describe("cut", () => {
  it("never cuts within an emoji", () => {
    expect(cut(`Hi ${WAVE}!`, 4)).toBe("Hi ");
    expect(cut(`Hi ${WAVE}!`, 5)).toBe(`Hi ${WAVE}`);
  });
});

describe("fold", () => {
  it("keeps 125 characters, and drops what is left of a space", () => {
    const whole = "a".repeat(125);
    expect(fold(whole)).toBe(whole);
    expect(fold(`${whole}b`)).toBe(whole);
    expect(fold(`${"a".repeat(124)} bc`)).toBe("a".repeat(124));
    expect(fold("🌊".repeat(126))).toBe("🌊".repeat(125));
  });
});
