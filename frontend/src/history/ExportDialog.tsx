import { useState } from "react";
import type { HistoryEntry } from "@/storage/database";
import { Button } from "@/ui/Button";
import { Dialog } from "@/ui/Dialog";
import { download } from "@/ui/download";
import { toJsonFile } from "./export";

interface ExportDialogProps {
  open: boolean;
  onClose: () => void;
  entries: readonly HistoryEntry[];
}

/** Saves the history as a JSON file. */
export function ExportDialog({ open, onClose, entries }: ExportDialogProps) {
  const [withPictures, setWithPictures] = useState(false);
  const save = async () => {
    download(await toJsonFile(entries, withPictures), "snap2caption-history.json");
    onClose();
  };
  return (
    <Dialog title="Export the history" open={open} onClose={onClose}>
      <p>You get a JSON file with all captions, hashtags and alt texts.</p>
      <label className="mt-2 flex min-h-11 items-center gap-3">
        <input
          type="checkbox"
          className="size-5 accent-accent"
          checked={withPictures}
          onChange={(event) => setWithPictures(event.target.checked)}
        />
        With the small pictures, in base64
      </label>
      <Button kind="primary" className="mt-4 w-full" onClick={() => void save()}>
        Save the file
      </Button>
    </Dialog>
  );
}
