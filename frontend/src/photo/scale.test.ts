import { describe, expect, it } from "vitest";
import { fitWithin, reducedWidth } from "./scale";

describe("fitWithin", () => {
  it.each([
    [4000, 3000, 1600, 1200],
    [3000, 4000, 1200, 1600],
    [5000, 5000, 1600, 1600],
    [1600, 900, 1600, 900],
    [640, 480, 640, 480],
    [1, 1, 1, 1],
  ])("%dx%d becomes %dx%d", (width, height, ...expected) => {
    const { width: fittedWidth, height: fittedHeight } = fitWithin({ width, height }, 1600);
    expect([fittedWidth, fittedHeight]).toEqual(expected);
  });

  it("leaves the shorter side of a very long photo one pixel", () => {
    expect(fitWithin({ width: 100_000, height: 3 }, 1600)).toEqual({ width: 1600, height: 1 });
  });
});

describe("reducedWidth", () => {
  it("reduces while decoding where neither orientation would be enlarged", () => {
    expect(reducedWidth({ width: 4000, height: 3000 }, 1600)).toBe(1600);
    expect(reducedWidth({ width: 3000, height: 4000 }, 1600)).toBe(1600);
  });

  it("decodes small photos and panoramas whole", () => {
    expect(reducedWidth({ width: 1600, height: 1600 }, 1600)).toBeUndefined();
    expect(reducedWidth({ width: 12_000, height: 1500 }, 1600)).toBeUndefined();
    expect(reducedWidth({ width: 1500, height: 12_000 }, 1600)).toBeUndefined();
  });
});
