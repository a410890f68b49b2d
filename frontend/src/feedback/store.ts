// Feedback on this device: in IndexedDB, or in memory where the browser refuses storage.
import { type FeedbackItem, openDatabase } from "@/storage/database";

const memory = new Map<string, FeedbackItem>();

/** All items, the oldest first. */
export async function readItems(): Promise<FeedbackItem[]> {
  const stored = await orElse(async () => (await openDatabase()).getAll("feedback"), []);
  return [...stored, ...memory.values()].sort((one, other) => one.createdAt - other.createdAt);
}

/** Add or replace an item. Where storage is refused or full, it lasts as long as the page. */
export async function saveItem(item: FeedbackItem): Promise<void> {
  const isStored = await orElse(
    async () => Boolean(await (await openDatabase()).put("feedback", item)),
    false,
  );
  if (isStored) memory.delete(item.id);
  else memory.set(item.id, item);
}

export async function removeItem(id: string): Promise<void> {
  memory.delete(id);
  await orElse(async () => (await openDatabase()).delete("feedback", id), undefined);
}

export async function removeItems(): Promise<void> {
  memory.clear();
  await orElse(async () => (await openDatabase()).clear("feedback"), undefined);
}

async function orElse<T>(access: () => Promise<T>, otherwise: T): Promise<T> {
  try {
    return await access();
  } catch (error) {
    if (error instanceof DOMException) return otherwise;
    throw error;
  }
}
