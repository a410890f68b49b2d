import type { ReactNode } from "react";

const KINDS = {
  problem: "bg-danger-soft text-danger",
  notice: "bg-notice-soft text-notice",
  good: "bg-good-soft text-good",
} as const;

/** A box that says how something went. Problems are announced at once, everything else when there is a pause. */
export function Message({ kind, children }: { kind: keyof typeof KINDS; children: ReactNode }) {
  return (
    <div role={kind === "problem" ? "alert" : "status"} className={`rounded-2xl px-4 py-3 ${KINDS[kind]}`}>
      {children}
    </div>
  );
}
