// IndexedDB: what stays on this device.
import { type DBSchema, type IDBPDatabase, openDB } from "idb";
import type { Schemas } from "@/api/client";

/** A post that was captioned here. */
export interface HistoryEntry {
  id: string;
  /** Milliseconds since 1970. */
  createdAt: number;
  /** JPEG pictures of at most 320 pixels, one for each photo. */
  thumbnails: Blob[];
  caption: string;
  hashtags: string[];
  altTexts: string[];
  modelVersion: string;
}

/** What the creator says about one caption, as POST /v1/feedback takes it. */
export interface FeedbackBody {
  request_id: string;
  variant: number;
  edited_caption?: string;
  edited_hashtags?: string[];
  rating?: number;
  reason?: Schemas["Reason"];
  flag?: boolean;
}

/** Feedback that was sent, or that waits to be sent. */
export interface FeedbackItem {
  /** Also its Idempotency-Key, so that a repeated request is accepted once. */
  id: string;
  createdAt: number;
  body: FeedbackBody;
  /** The caption that it is about, for the list of what was sent. */
  caption: string;
  /** sending: a request was made, and whether the service received it is not known yet. */
  state: "waiting" | "sending" | "sent" | "refused";
  /** The service's id once it was accepted, for its erasure. */
  serverId?: string;
  /** Why the service refused it. */
  problem?: string;
}

interface Schema extends DBSchema {
  history: { key: string; value: HistoryEntry; indexes: { createdAt: number } };
  feedback: { key: string; value: FeedbackItem; indexes: { createdAt: number } };
}

export type Database = IDBPDatabase<Schema>;

let opened: Promise<Database> | undefined;

/**
 * Open the database, once.
 *
 * @throws DOMException where the browser refuses storage.
 */
export function openDatabase(): Promise<Database> {
  opened ??= openDB<Schema>("snap2caption", 1, {
    upgrade(database) {
      database.createObjectStore("history", { keyPath: "id" }).createIndex("createdAt", "createdAt");
      database.createObjectStore("feedback", { keyPath: "id" }).createIndex("createdAt", "createdAt");
    },
    // Another tab has a newer release, whose database has to wait until this connection is closed.
    blocking(_current, _blocked, event) {
      (event.target as IDBDatabase).close();
      opened = undefined;
    },
    terminated() {
      opened = undefined;
    },
  });
  opened.catch(() => {
    opened = undefined;
  });
  return opened;
}
