import { expect, it } from "vitest";
import { colorSpaceOf } from "./colorSpace";
import { SAMPLES } from "./samples";

function box(type: string, ...content: number[]): number[] {
  return [0, 0, 0, 8 + content.length, ...ascii(type), ...content];
}

function ascii(text: string): number[] {
  return [...text].map((character) => character.charCodeAt(0));
}

function fileWithColors(...colr: number[]): Uint8Array {
  const properties = box("iprp", ...box("ipco", ...box("colr", ...colr)));
  return Uint8Array.from([...box("ftyp", ...ascii("heic")), ...box("meta", 0, 0, 0, 0, ...properties)]);
}

function nclx(primaries: number): Uint8Array {
  return fileWithColors(...ascii("nclx"), 0, primaries, 0, 13, 0, 1, 0x80);
}

/** A profile whose only tag is the red, with this X. */
function icc(red: number): Uint8Array {
  const header = new Array(128).fill(0);
  const table = [0, 0, 0, 1, ...ascii("rXYZ"), 0, 0, 0, 144, 0, 0, 0, 20];
  const fixed = Math.round(red * 65_536);
  return fileWithColors(
    ...ascii("prof"),
    ...header,
    ...table,
    ...ascii("XYZ "),
    0,
    0,
    0,
    0,
    0,
    0,
    fixed >> 8,
    fixed & 255,
  );
}

it("finds Display P3 in coded color information and in profiles", () => {
  expect([nclx(12), icc(0.5151)].map(colorSpaceOf)).toEqual(["display-p3", "display-p3"]);
});

it("takes everything else for sRGB", () => {
  const cut = fileWithColors(...ascii("prof"), 0, 0);
  expect([nclx(1), icc(0.4361), icc(0.6098), cut, SAMPLES.heic].map(colorSpaceOf)).toEqual(
    new Array(5).fill("srgb"),
  );
});
