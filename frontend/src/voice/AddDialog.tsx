import { type FormEvent, useState } from "react";
import { isTooLong } from "@/api/limits";
import { Button } from "@/ui/Button";
import { Dialog } from "@/ui/Dialog";
import { TextArea } from "@/ui/Field";

interface AddDialogProps {
  open: boolean;
  onClose: () => void;
  onAdd: (caption: string) => void;
}

/** Adds a caption by hand. */
export function AddDialog({ open, onClose, onAdd }: AddDialogProps) {
  return (
    <Dialog title="Add a caption" open={open} onClose={onClose}>
      <AddForm
        onAdd={(caption) => {
          onAdd(caption);
          onClose();
        }}
      />
    </Dialog>
  );
}

function AddForm({ onAdd }: { onAdd: (caption: string) => void }) {
  const [caption, setCaption] = useState("");
  const isLong = isTooLong(caption);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (caption.trim() && !isLong) onAdd(caption);
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      <TextArea
        label="A caption that you like"
        note={
          isLong
            ? "It is longer than the 2,200 characters of a caption on Instagram. Shorten it."
            : "In your own words. Leave its hashtags out."
        }
        aria-invalid={isLong}
        required
        // The attribute, which React doesn't set, is what tells the dialog where the focus goes when it opens.
        ref={(field) => field?.setAttribute("autofocus", "")}
        value={caption}
        onChange={(event) => setCaption(event.target.value)}
      />
      <Button kind="primary" type="submit" disabled={isLong}>
        Add
      </Button>
    </form>
  );
}
