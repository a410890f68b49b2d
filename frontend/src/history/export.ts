// Export of the history as JSON.
import type { HistoryEntry } from "@/storage/database";

/** Format of the file. Raise the version if a field changes its meaning. */
const FORMAT = { format: "snap2caption-history", version: 1 };

/**
 * Returns the history as a JSON file.
 *
 * @param withPictures whether each entry has its thumbnails, as JPEG in base64.
 */
export async function toJsonFile(entries: readonly HistoryEntry[], withPictures: boolean): Promise<Blob> {
  const exported = await Promise.all(
    entries.map(async ({ thumbnails, createdAt, ...words }) => ({
      ...words,
      createdAt: new Date(createdAt).toISOString(),
      ...(withPictures && { thumbnails: await Promise.all(thumbnails.map(toBase64)) }),
    })),
  );
  return new Blob([JSON.stringify({ ...FORMAT, entries: exported }, null, 2)], { type: "application/json" });
}

async function toBase64(picture: Blob): Promise<string> {
  const bytes = new Uint8Array(await picture.arrayBuffer());
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}
