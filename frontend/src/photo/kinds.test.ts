import { describe, expect, it } from "vitest";
import { kindOf } from "./kinds";
import { SAMPLES } from "./samples";

function bytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

describe("kindOf", () => {
  it("tells photos by their content", () => {
    const kinds = Object.fromEntries(Object.entries(SAMPLES).map(([name, head]) => [name, kindOf(head)]));
    expect(kinds).toEqual({
      jpeg: "jpeg",
      png: "png",
      gif: "gif",
      webpLossy: "webp",
      webpLossless: "webp",
      webpExtended: "webp",
      heic: "heic",
      avif: "avif",
    });
  });

  it.each([
    ["ftypmif1\0\0\0\0mif1heic", "heic"],
    ["ftypmif1\0\0\0\0mif1avif", "avif"],
    ["ftypisom\0\0\0\0isommp42", "video"],
    ["ftypqt  \0\0\0\0qt  \0\0\0\0", "video"],
    ["ftypcrx \0\0\0\0crx isom", "raw"],
  ])("tells the brands of %j: %s", (box, kind) => {
    expect(kindOf(bytes(`\0\0\0\x18${box}`))).toBe(kind);
  });

  it.each([
    ["\x1aE\xdf\xa3\x01webm", "video"],
    ["RIFF\0\0\0\0AVI LIST", "video"],
    ["RIFF\0\0\0\0WAVEfmt ", "unknown"],
    ["%PDF-1.7", "pdf"],
    ['<svg xmlns="http://www.w3.org/2000/svg">', "svg"],
    ['\xef\xbb\xbf<?xml version="1.0"?>\n<!-- A logo -->\n<svg>', "svg"],
    ["<!doctype html><p>svg</p>", "unknown"],
    ["II*\0\x08\0\0\0", "raw"],
    ["MM\0*\0\0\0\x08", "raw"],
    ["FUJIFILMCCD-RAW 0201", "raw"],
    ["BM\x8a\0", "unknown"],
    ["Golden hour", "unknown"],
    ["", "unknown"],
  ])("tells %j: %s", (start, kind) => {
    expect(kindOf(bytes(start))).toBe(kind);
  });
});
