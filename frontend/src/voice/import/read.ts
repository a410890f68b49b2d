// Files that captions are imported from: text, the JSON files of Instagram's data export, or the export itself.
import type { ZipEntry } from "unzipit";
import { type FoundCaption, ImportProblem, tidy } from "./captions";
import { captionsIn, postsFormat } from "./instagram";
import { captionsInText } from "./text";

/** Bytes of a file, or of an archive's file, that is read into memory. */
const MAX_BYTES = 64 * 1024 * 1024;

const HTML =
  "This export is made of web pages. Ask Instagram for it again, with the format JSON, and choose that file here.";

/**
 * Read the captions in *files*. Nothing of them leaves the browser.
 *
 * @returns captions without hashtags, each once, the newest first.
 * @throws ImportProblem if a file can't be read, or none has captions.
 */
export async function readCaptions(files: readonly File[]): Promise<FoundCaption[]> {
  const found: FoundCaption[] = [];
  for (const file of files) found.push(...(await captionsOf(file)));
  const captions = tidy(found);
  if (!captions.length)
    throw new ImportProblem("There are no captions with words in it. Choose another file.");
  return captions;
}

async function captionsOf(file: File): Promise<FoundCaption[]> {
  if ((await file.slice(0, 3).text()) === "PK\x03") return captionsInArchive(file);
  if (file.size > MAX_BYTES) throw tooLarge(file.name);
  const text = await file.text();
  if (text.includes("\0")) {
    throw new ImportProblem(`${file.name} is neither text nor an export of Instagram. Choose another file.`);
  }
  if (/^\s*<(?:!doctype|html)/i.test(text)) throw new ImportProblem(HTML);
  return /\.json$/i.test(file.name) ? captionsIn(parse(text, file.name)) : captionsInText(text);
}

/** Read an export, which has gigabytes of pictures: its directory, and the few files with captions. */
async function captionsInArchive(file: File): Promise<FoundCaption[]> {
  const { unzipRaw } = await import("unzipit");
  const { entries } = await unzipRaw(file).catch(() => {
    throw new ImportProblem(`${file.name} is incomplete. Download it again, then choose it here.`);
  });
  const posts = entries.filter((entry) => postsFormat(entry.name) === "json");
  if (!posts.length && entries.some((entry) => postsFormat(entry.name) === "html"))
    throw new ImportProblem(HTML);
  if (!posts.length) {
    throw new ImportProblem(
      `${file.name} has no posts. If Instagram gave you several files, choose all of them together.`,
    );
  }
  const found: FoundCaption[] = [];
  for (const entry of posts) found.push(...captionsIn(parse(await read(entry), entry.name)));
  return found;
}

async function read(entry: ZipEntry): Promise<string> {
  if (entry.size > MAX_BYTES) throw tooLarge(entry.name);
  try {
    return await entry.text();
  } catch {
    throw new ImportProblem(`${entry.name} in the export is damaged. Download the export again.`);
  }
}

function parse(json: string, name: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    throw new ImportProblem(`${name} is incomplete or no JSON. Download the export again.`);
  }
}

function tooLarge(name: string): ImportProblem {
  return new ImportProblem(`${name} is larger than 64 MiB. Choose a file with captions only.`);
}
