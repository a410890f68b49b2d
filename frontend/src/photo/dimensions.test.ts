import { describe, expect, it } from "vitest";
import { dimensionsOf } from "./dimensions";
import { kindOf, type PhotoKind } from "./kinds";
import { SAMPLES } from "./samples";

const samples = Object.entries(SAMPLES).map(
  ([name, head]) => [name, head, kindOf(head) as PhotoKind] as const,
);

describe("dimensionsOf", () => {
  it.each(samples)("reads the size of %s", (_, head, kind) => {
    expect(dimensionsOf(kind, head)).toEqual({ width: 128, height: 96 });
  });

  it.each(samples)("is unknown, or right, wherever %s is cut off", (_, head, kind) => {
    for (let length = 0; length < head.length; length += 1) {
      expect([null, { width: 128, height: 96 }]).toContainEqual(dimensionsOf(kind, head.slice(0, length)));
    }
  });

  it("reads past a JPEG's metadata, and past bytes that fill up", () => {
    const metadata = [0xff, 0xe1, 0xff, 0xff, ...new Array(0xffff - 2).fill(0), 0xff, 0xff];
    const photo = Uint8Array.from([...SAMPLES.jpeg.slice(0, 2), ...metadata, ...SAMPLES.jpeg.slice(2)]);
    expect(dimensionsOf("jpeg", photo)).toEqual({ width: 128, height: 96 });
  });
});
