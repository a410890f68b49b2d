// History on this device, in IndexedDB.
import { type HistoryEntry, openDatabase } from "@/storage/database";
import { Listeners } from "@/storage/listeners";
import { toast } from "@/ui/toast";

/** Entries that are kept; beyond that, the oldest are dropped. */
export const MAX_ENTRIES = 500;

const NOT_KEPT =
  "This browser keeps no history: it is private, or its storage is full. Everything else works.";

const listeners = new Listeners();
let isWarned = false;

/** Call a listener after each change. */
export const { subscribe } = listeners;

/** All entries, the newest first. */
export async function readHistory(): Promise<HistoryEntry[]> {
  try {
    return (await (await openDatabase()).getAllFromIndex("history", "createdAt")).reverse();
  } catch (error) {
    warnOnce(error);
    return [];
  }
}

/** Add an entry. If the browser refuses to store it, the creator is told once. */
export function addToHistory(entry: HistoryEntry): Promise<void> {
  return change(async () => {
    const transaction = (await openDatabase()).transaction("history", "readwrite");
    await transaction.store.put(entry);
    let surplus = (await transaction.store.count()) - MAX_ENTRIES;
    let oldest = await transaction.store.index("createdAt").openCursor();
    while (oldest && surplus-- > 0) {
      await oldest.delete();
      oldest = await oldest.continue();
    }
    await transaction.done;
  });
}

/** Change an entry, such as after an edit. One that was erased in the meantime stays erased. */
export function updateHistory(id: string, changes: Partial<Omit<HistoryEntry, "id">>): Promise<void> {
  return change(async () => {
    const transaction = (await openDatabase()).transaction("history", "readwrite");
    const entry = await transaction.store.get(id);
    if (entry) await transaction.store.put({ ...entry, ...changes });
    await transaction.done;
  });
}

export function removeFromHistory(id: string): Promise<void> {
  return change(async () => (await openDatabase()).delete("history", id));
}

export function clearHistory(): Promise<void> {
  return change(async () => (await openDatabase()).clear("history"));
}

async function change(access: () => Promise<void>): Promise<void> {
  try {
    await access();
  } catch (error) {
    warnOnce(error);
  }
  listeners.notify();
}

function warnOnce(error: unknown): void {
  if (!(error instanceof DOMException)) throw error;
  if (!isWarned) toast(NOT_KEPT);
  isWarned = true;
}
