// Search in the history.
import type { HistoryEntry } from "@/storage/database";

/** Returns the entries whose caption, hashtags or alt texts have all words of *query*, in their order. */
export function search(entries: readonly HistoryEntry[], query: string): HistoryEntry[] {
  const words = fold(query).split(/\s+/).filter(Boolean);
  return entries.filter((entry) => {
    const text = fold([entry.caption, ...entry.hashtags, ...entry.altTexts].join("\n"));
    return words.every((word) => text.includes(word));
  });
}

/** Fold case and diacritics, so that "cafe" finds "Café". */
function fold(text: string): string {
  return text
    .normalize("NFKD")
    .replace(/\p{Mn}/gu, "")
    .toLowerCase();
}
