import { useState } from "react";
import { MAX_VOICE } from "@/api/limits";
import { Button } from "@/ui/Button";
import { Dialog } from "@/ui/Dialog";
import type { FoundCaption } from "./captions";

/** Captions that are listed at once: an export may have thousands. */
const PAGE = 100;

interface ImportDialogProps {
  /** The newest first; empty: the dialog is closed. */
  found: readonly FoundCaption[];
  onClose: () => void;
  onImport: (captions: string[]) => void;
}

/** Lets the creator pick some of the captions that a file has. */
export function ImportDialog({ found, onClose, onImport }: ImportDialogProps) {
  return (
    <Dialog title="Which captions sound like you?" open={found.length > 0} onClose={onClose}>
      <Choice
        found={found}
        onImport={(captions) => {
          onImport(captions);
          onClose();
        }}
      />
    </Dialog>
  );
}

function Choice({ found, onImport }: Omit<ImportDialogProps, "onClose">) {
  const [picked, setPicked] = useState<ReadonlySet<string>>(new Set());
  const [listed, setListed] = useState(PAGE);
  const newest = found.slice(0, MAX_VOICE).map(({ text }) => text);
  const isFull = picked.size >= MAX_VOICE;
  const areAllPicked = picked.size === newest.length;
  const toggle = (text: string) => {
    const next = new Set(picked);
    if (!next.delete(text)) next.add(text);
    setPicked(next);
  };
  return (
    <div className="flex min-h-0 flex-col gap-3">
      <p className="text-muted">
        {found.length === 1 ? "1 caption was found" : `${found.length} captions were found`}, without their
        hashtags. Only those that you add leave this device, {MAX_VOICE} at most.
      </p>
      <Button className="self-start" onClick={() => setPicked(areAllPicked ? new Set() : new Set(newest))}>
        {areAllPicked
          ? "Select none"
          : found.length > MAX_VOICE
            ? `Select the newest ${MAX_VOICE}`
            : "Select all"}
      </Button>
      <ul className="flex max-h-[45dvh] flex-col gap-1 overflow-y-auto">
        {found.slice(0, listed).map(({ text, postedAt }) => (
          <li key={text}>
            <label className="flex min-h-11 items-start gap-3 rounded-2xl p-2 hover:bg-sunken has-checked:bg-accent-soft">
              <input
                type="checkbox"
                className="mt-0.5 size-5 shrink-0 accent-accent"
                checked={picked.has(text)}
                disabled={isFull && !picked.has(text)}
                onChange={() => toggle(text)}
              />
              <span className="min-w-0 flex-1">
                <span dir="auto" className="line-clamp-3 wrap-anywhere whitespace-pre-line">
                  {text}
                </span>
                {postedAt !== null && (
                  <span className="text-sm text-muted">
                    {new Date(postedAt * 1000).toLocaleDateString(undefined, { dateStyle: "medium" })}
                  </span>
                )}
              </span>
            </label>
          </li>
        ))}
      </ul>
      {found.length > listed && (
        <Button kind="quiet" onClick={() => setListed(listed + PAGE)}>
          Show older ones
        </Button>
      )}
      <Button kind="primary" disabled={picked.size === 0} onClick={() => onImport(inOrder(found, picked))}>
        {picked.size === 1 ? "Add 1 caption" : `Add ${picked.size} captions`}
      </Button>
    </div>
  );
}

function inOrder(found: readonly FoundCaption[], picked: ReadonlySet<string>): string[] {
  return found.map(({ text }) => text).filter((text) => picked.has(text));
}
