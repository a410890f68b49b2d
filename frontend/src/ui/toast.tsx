// Toasts: short confirmations, such as "Caption copied", in a live region.
import { useSyncExternalStore } from "react";
import { Listeners } from "@/storage/listeners";

const SHOWN_FOR = 4000;
let message = "";
let timer: ReturnType<typeof setTimeout> | undefined;
const listeners = new Listeners();

/** Show *text* for four seconds. */
export function toast(text: string): void {
  clearTimeout(timer);
  show(text);
  timer = setTimeout(() => show(""), SHOWN_FOR);
}

function show(text: string): void {
  message = text;
  listeners.notify();
}

export function Toaster() {
  const text = useSyncExternalStore(listeners.subscribe, () => message);
  return (
    <div
      role="status"
      className="pointer-events-none fixed inset-x-0 bottom-24 z-20 flex justify-center px-4"
    >
      {text && <p className="rounded-full bg-ink px-5 py-3 font-medium text-surface shadow-lg">{text}</p>}
    </div>
  );
}
