// Preferences: small settings that stay on this device (localStorage).
import { useSyncExternalStore } from "react";
import { Listeners } from "./listeners";

export interface Preference<T> {
  get(): T;
  set(value: T): void;
  subscribe(listener: () => void): () => void;
}

const PREFIX = "snap2caption.";

/**
 * A setting that is remembered between visits.
 *
 * A stored value that *isValid* rejects, as an older release may have left it, counts as none. Where the browser
 * refuses storage (private windows), the setting lasts as long as the page.
 */
export function createPreference<T>(
  name: string,
  initial: T,
  isValid: (value: unknown) => boolean,
): Preference<T> {
  const listeners = new Listeners();
  let current = read();

  function read(): T {
    try {
      const stored: unknown = JSON.parse(localStorage.getItem(PREFIX + name) ?? "null");
      return isValid(stored) ? (stored as T) : initial;
    } catch {
      return initial;
    }
  }

  // Another tab has changed it, or (without a key) cleared the storage.
  globalThis.addEventListener?.("storage", ({ key }) => {
    if (key !== null && key !== PREFIX + name) return;
    current = read();
    listeners.notify();
  });

  return {
    get: () => current,
    set(value) {
      current = value;
      try {
        localStorage.setItem(PREFIX + name, JSON.stringify(value));
      } catch {
        // Storage is full or refused. The setting still holds for this visit.
      }
      listeners.notify();
    },
    subscribe: listeners.subscribe,
  };
}

/** The preference's value and its setter, for components. */
export function usePreference<T>(preference: Preference<T>): [T, (value: T) => void] {
  return [useSyncExternalStore(preference.subscribe, preference.get), preference.set];
}
