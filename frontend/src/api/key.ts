// API key of the creator: kept for the session, or on this device if they say so.
import { useSyncExternalStore } from "react";

const NAME = "snap2caption.key";
const listeners = new Set<() => void>();
let key = sessionStorage.getItem(NAME) ?? localStorage.getItem(NAME);

export function currentKey(): string | null {
  return key;
}

export function useKey(): string | null {
  return useSyncExternalStore(subscribe, currentKey);
}

/** Use *value* from now on. *remember* keeps it on this device after the tab is closed. */
export function saveKey(value: string, remember: boolean): void {
  forgetKey();
  (remember ? localStorage : sessionStorage).setItem(NAME, value);
  key = value;
  notify();
}

export function forgetKey(): void {
  sessionStorage.removeItem(NAME);
  localStorage.removeItem(NAME);
  key = null;
  notify();
}

/** Take the key from an address that ends in `#key=…`, and remove it from there. Fragments are not sent to servers. */
export function takeKeyFromAddress(): void {
  const found = /^#key=(.+)$/.exec(window.location.hash)?.[1];
  if (!found) return;
  window.history.replaceState(null, "", window.location.pathname + window.location.search);
  saveKey(decodeURIComponent(found), false);
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function notify(): void {
  for (const listener of listeners) listener();
}
