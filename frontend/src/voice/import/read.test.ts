import { crc32, deflateRawSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { readCaptions } from "./read";

const damaged = (text: string) => String.fromCharCode(...new TextEncoder().encode(text));
const texts = async (...files: File[]) => (await readCaptions(files)).map(({ text }) => text);

/** A zip archive of *files*: names and contents. */
function zip(files: Record<string, string | Uint8Array>): Uint8Array<ArrayBuffer> {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, content] of Object.entries(files)) {
    const raw = Buffer.from(content);
    const packed = deflateRawSync(raw);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(8, 4);
    common.writeUInt32LE(crc32(raw), 10);
    common.writeUInt32LE(packed.length, 14);
    common.writeUInt32LE(raw.length, 18);
    common.writeUInt16LE(name.length, 22);
    const local = Buffer.concat([Buffer.from("PK\x03\x04"), common, Buffer.from(name), packed]);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(offset, 10);
    directory.push(Buffer.concat([Buffer.from("PK\x01\x02\x14\x00"), common, rest, Buffer.from(name)]));
    parts.push(local);
    offset += local.length;
  }
  const listed = Buffer.concat(directory);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(directory.length, 4);
  end.writeUInt16LE(directory.length, 6);
  end.writeUInt32LE(listed.length, 8);
  end.writeUInt32LE(offset, 12);
  return new Uint8Array(Buffer.concat([...parts, listed, Buffer.from("PK\x05\x06"), end]));
}

const POSTS = JSON.stringify([
  { media: [{ title: damaged("Fog 🌉\n.\n#fog #sf"), creation_timestamp: 1 }] },
  { media: [{ title: "" }, { title: "" }], title: damaged("Après-ski"), creation_timestamp: 3 },
  { media: [{ title: "#only #tags", creation_timestamp: 4 }] },
]);
const REELS = JSON.stringify({ ig_reels_media: [{ media: [{ title: "A reel", creation_timestamp: 2 }] }] });

/** A file that counts the bytes that are read. */
class CountingFile extends File {
  read = 0;

  override slice(start = 0, end = this.size, type?: string): Blob {
    this.read += end - start;
    return super.slice(start, end, type);
  }
}

describe("readCaptions", () => {
  it("reads a text with a blank line between captions", async () => {
    const content = "\ufeffFirst,\r\nin two lines.\r\n \r\n\r\nSecond.\r\n";
    expect(await texts(new File([content], "captions.txt"))).toEqual(["First,\nin two lines.", "Second."]);
  });

  it("takes a text that begins like an archive for a text", async () => {
    expect(await texts(new File(["PKL days.\n\nFog."], "captions.txt"))).toEqual(["PKL days.", "Fog."]);
  });

  it("reads a text without blank lines line by line", async () => {
    expect(await texts(new File(["[First]\nSecond\n"], "captions.txt"))).toEqual(["[First]", "Second"]);
  });

  it("reads the JSON files of an export, the newest caption first", async () => {
    const files = [new File([POSTS], "posts_1.json"), new File([REELS], "reels.json")];
    expect(await texts(...files)).toEqual(["Après-ski", "A reel", "Fog 🌉"]);
  });

  it("reads an archive without reading its pictures", async () => {
    const picture = crypto.getRandomValues(new Uint8Array(60_000));
    const archive = zip({
      "media/posts/202601/one.jpg": Buffer.concat(Array<Uint8Array>(20).fill(picture)),
      "your_instagram_activity/media/posts_1.json": POSTS,
      "your_instagram_activity/media/reels.json": REELS,
      "your_instagram_activity/messages/inbox/me_1/message_1.json": "[private",
    });
    const file = new CountingFile([archive], "instagram.zip");
    expect(await texts(file)).toEqual(["Après-ski", "A reel", "Fog 🌉"]);
    expect(file.size).toBeGreaterThan(1_000_000);
    expect(file.read).toBeLessThan(100_000);
  });

  it.each([
    [new File([zip({ "content/posts_1.html": "<html>" })], "instagram.zip"), "format JSON"],
    [new File(["<!DOCTYPE html><html>"], "posts_1.html"), "format JSON"],
    [new File([zip({ "media/one.jpg": "x" })], "part.zip"), "choose all of them together"],
    [new File([zip({ "content/posts_1.json": POSTS }).slice(0, 100)], "cut.zip"), "incomplete"],
    [new File([zip({ "content/posts_1.json": "[{" })], "instagram.zip"), "no JSON"],
    [new File(["[{"], "posts_1.json"), "no JSON"],
    [new File(["\x00\x01\x02"], "photo.jpg"), "neither text nor"],
    [new File(["#only #tags\n\n"], "captions.txt"), "no captions"],
  ])("says what to do about %o", async (file, advice) => {
    await expect(readCaptions([file])).rejects.toThrow(advice);
  });
});
