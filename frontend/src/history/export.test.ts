import { describe, expect, it } from "vitest";
import { toJsonFile } from "./export";

const entries = [
  {
    id: "one",
    createdAt: Date.UTC(2026, 0, 2),
    thumbnails: [new Blob([new Uint8Array([0xff, 0xd8, 0xff])])],
    caption: "Fog 🌉",
    hashtags: ["#fog"],
    altTexts: ["Fog."],
    modelVersion: "demo/1",
  },
];
const exported = async (withPictures: boolean) =>
  JSON.parse(await (await toJsonFile(entries, withPictures)).text());

describe("toJsonFile", () => {
  it("writes texts, and when they were made", async () => {
    expect(await exported(false)).toEqual({
      format: "snap2caption-history",
      version: 1,
      entries: [
        {
          id: "one",
          createdAt: "2026-01-02T00:00:00.000Z",
          caption: "Fog 🌉",
          hashtags: ["#fog"],
          altTexts: ["Fog."],
          modelVersion: "demo/1",
        },
      ],
    });
  });

  it("writes thumbnails in base64 if they are asked for", async () => {
    expect((await exported(true)).entries[0].thumbnails).toEqual(["/9j/"]);
  });
});
