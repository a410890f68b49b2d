// API key of the creator: kept for the session, or on this device if they say so.
import { useSyncExternalStore } from "react";
import { Listeners } from "@/storage/listeners";

const NAME = "snap2caption.key";
const listeners = new Listeners();
let key = stored();

export function currentKey(): string | null {
  return key;
}

export function useKey(): string | null {
  return useSyncExternalStore(listeners.subscribe, currentKey);
}

/** Use *value* from now on. *remember* keeps it on this device after the tab is closed. */
export function saveKey(value: string, remember: boolean): void {
  forgetKey();
  whereAllowed(() => (remember ? localStorage : sessionStorage).setItem(NAME, value));
  key = value;
  listeners.notify();
}

export function forgetKey(): void {
  whereAllowed(() => sessionStorage.removeItem(NAME));
  whereAllowed(() => localStorage.removeItem(NAME));
  key = null;
  listeners.notify();
}

/**
 * Take the key from an address that ends in `#key=…`, now and whenever one is opened in this tab, and remove it from
 * there. Fragments are not sent to servers.
 */
export function takeKeysFromAddress(): void {
  takeKey();
  window.addEventListener("hashchange", takeKey);
}

function takeKey(): void {
  const found = /^#key=(.+)$/.exec(window.location.hash)?.[1];
  if (!found) return;
  window.history.replaceState(null, "", window.location.pathname + window.location.search);
  saveKey(decoded(found), false);
}

/** A `%` that encodes nothing stands for itself. */
function decoded(fragment: string): string {
  try {
    return decodeURIComponent(fragment);
  } catch {
    return fragment;
  }
}

function stored(): string | null {
  const find = (storage: () => Storage) => whereAllowed(() => storage().getItem(NAME)) ?? null;
  return find(() => sessionStorage) ?? find(() => localStorage);
}

/** Where the browser refuses storage, a key lasts as long as the page. */
function whereAllowed<T>(access: () => T): T | undefined {
  try {
    return access();
  } catch {
    return undefined;
  }
}
