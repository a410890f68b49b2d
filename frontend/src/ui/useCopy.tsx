// Copying: by the clipboard, or by hand where the browser has none for this page (plain HTTP).
import { type ReactNode, useState } from "react";
import { Dialog } from "./Dialog";
import { toast } from "./toast";

/** Copy *text*, and say *confirmation*. False if the creator has to copy it by hand. */
export type Copy = (text: string, confirmation: string) => Promise<boolean>;

/** A function that copies, and the dialog that it opens where the creator has to copy by hand. */
export function useCopy(): { copy: Copy; dialog: ReactNode } {
  const [byHand, setByHand] = useState<string | null>(null);
  const copy: Copy = async (text, confirmation) => {
    try {
      // There is none on plain HTTP, whatever its type says: that is a TypeError.
      await navigator.clipboard.writeText(text);
    } catch {
      setByHand(text);
      return false;
    }
    toast(confirmation);
    return true;
  };
  const dialog = (
    <Dialog title="Copy this text" open={byHand !== null} onClose={() => setByHand(null)}>
      <p id="copy-how" className="mb-3 text-muted">
        Your browser doesn’t let this page copy by itself. The text is selected: press{" "}
        {isApple() ? "Cmd+C" : "Ctrl+C"}, or hold your finger on it and choose Copy.
      </p>
      <textarea
        // The attribute, which React doesn't set, is what tells the dialog where the focus goes when it opens.
        ref={(field) => field?.setAttribute("autofocus", "")}
        readOnly
        dir="auto"
        rows={8}
        aria-label="Text to copy"
        aria-describedby="copy-how"
        value={byHand ?? ""}
        onFocus={(event) => event.currentTarget.select()}
        className="w-full rounded-2xl border border-line bg-surface p-4 text-ink"
      />
    </Dialog>
  );
  return { copy, dialog };
}

function isApple(): boolean {
  return /Mac|iPhone|iPad/.test(navigator.userAgent);
}
