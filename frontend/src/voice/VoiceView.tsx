import { Plus, X } from "lucide-react";
import { useRef, useState } from "react";
import { MAX_VOICE } from "@/api/limits";
import { Button, IconButton } from "@/ui/Button";
import { ConfirmDialog } from "@/ui/ConfirmDialog";
import { Message } from "@/ui/Message";
import { toast } from "@/ui/toast";
import { useFocusAfterRemoval } from "@/ui/useFocusAfterRemoval";
import { AddDialog } from "./AddDialog";
import { ImportButton } from "./import/ImportButton";
import { addCaptions, removeCaption } from "./list";
import { useChangeVoice, useEraseVoice, useVoice } from "./queries";

/** The saved captions that new ones imitate. */
export function VoiceView() {
  const voice = useVoice();
  const change = useChangeVoice();
  const erase = useEraseVoice();
  const [dialog, setDialog] = useState<"add" | "erase" | null>(null);
  const close = () => setDialog(null);
  const saved = voice.data ?? [];
  const list = useRef<HTMLUListElement>(null);
  useFocusAfterRemoval(list, saved.length);
  const problem = change.error ?? erase.error ?? voice.error;

  const add = (captions: string[]) =>
    change.mutate((current) => addCaptions(current, captions), {
      onSuccess: () => toast(captions.length === 1 ? "Caption added" : "Captions added"),
    });

  return (
    <div className="mx-auto flex max-w-2xl flex-col gap-4">
      <h1 className="text-2xl font-extrabold">Your voice</h1>
      <p className="text-muted">
        New captions imitate the ones that you save here; the newest count most. The service keeps up to{" "}
        {MAX_VOICE}. When it is full, the oldest make room.
      </p>
      <div className="flex flex-wrap gap-3">
        <Button kind="primary" onClick={() => setDialog("add")}>
          <Plus aria-hidden className="size-5" />
          Add a caption
        </Button>
        <ImportButton onImport={add} />
      </div>
      <ImportHelp />
      {problem && (
        <Message kind="problem">
          <p>{problem.message}</p>
          {voice.error && <Button onClick={() => void voice.refetch()}>Try again</Button>}
        </Message>
      )}
      <p role="status" className="font-semibold">
        {voice.data &&
          (saved.length === 0 ? "You have saved no captions yet." : `${saved.length} of ${MAX_VOICE}`)}
      </p>
      <ul ref={list} tabIndex={-1} aria-label="Saved captions" className="flex flex-col gap-2 outline-none">
        {saved.map((caption) => (
          <li
            key={caption}
            className="flex items-start gap-2 rounded-3xl border border-line bg-raised py-2 ps-4 pe-2"
          >
            <p dir="auto" className="min-w-0 flex-1 py-2 wrap-anywhere whitespace-pre-line">
              {caption}
            </p>
            <IconButton
              label="Remove this caption"
              onClick={() => change.mutate((current) => removeCaption(current, caption))}
            >
              <X aria-hidden />
            </IconButton>
          </li>
        ))}
      </ul>
      {saved.length > 0 && (
        <Button kind="danger" className="self-start" onClick={() => setDialog("erase")}>
          Remove all
        </Button>
      )}
      <AddDialog open={dialog === "add"} onClose={close} onAdd={(caption) => add([caption])} />
      <ConfirmDialog
        title="Remove all captions?"
        open={dialog === "erase"}
        onClose={close}
        action="Remove all"
        onConfirm={() => erase.mutate()}
      >
        All {saved.length} captions are erased, also those that came with your feedback. New captions then
        have no voice to imitate.
      </ConfirmDialog>
    </div>
  );
}

function ImportHelp() {
  return (
    <details className="rounded-2xl border border-line px-4">
      <summary className="min-h-11 content-center font-medium">Which files can I import?</summary>
      <div className="flex flex-col gap-2 pb-4 text-muted">
        <p>
          <strong className="text-ink">A text:</strong> with a blank line between two captions. Without blank
          lines, each line is a caption.
        </p>
        <p>
          <strong className="text-ink">Your posts from Instagram:</strong> in Instagram, open Accounts Center,
          “Your information and permissions”, and export your information with the format JSON. “Posts” is
          enough. Choose the zip file that you get, or the file posts_1.json in it.
        </p>
        <p>Files are read on this device. Only the captions that you pick are sent.</p>
      </div>
    </details>
  );
}
