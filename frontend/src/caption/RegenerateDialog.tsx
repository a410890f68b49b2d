import { type FormEvent, useState } from "react";
import { Button } from "@/ui/Button";
import { Dialog } from "@/ui/Dialog";
import { TextField } from "@/ui/Field";
import type { Part } from "./form";

const MOST_HINT = 100;

const TEXTS = {
  caption: { title: "Rewrite the caption", note: "Your hashtags stay as they are." },
  hashtags: {
    title: "Replace the hashtags",
    note: "Your caption and the hashtags you added stay as they are.",
  },
} as const;

interface RegenerateDialogProps {
  /** The part to write again; null: closed. */
  part: Part | null;
  onClose: () => void;
  onRegenerate: (part: Part, hint: string) => void;
}

/** Asks what to change before a part is written again. */
export function RegenerateDialog({ part, onClose, onRegenerate }: RegenerateDialogProps) {
  const { title, note } = TEXTS[part ?? "caption"];
  return (
    <Dialog title={title} open={part !== null} onClose={onClose}>
      {part && <HintForm title={title} note={note} onSubmit={(hint) => onRegenerate(part, hint)} />}
    </Dialog>
  );
}

function HintForm({
  title,
  note,
  onSubmit,
}: {
  title: string;
  note: string;
  onSubmit: (hint: string) => void;
}) {
  const [hint, setHint] = useState("");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onSubmit(hint);
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      <TextField
        label="What should change? (optional)"
        note={note}
        placeholder="Mention the fog"
        maxLength={MOST_HINT}
        value={hint}
        onChange={(event) => setHint(event.target.value)}
      />
      <Button kind="primary" type="submit">
        {title}
      </Button>
    </form>
  );
}
