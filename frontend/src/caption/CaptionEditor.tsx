import { Message } from "@/ui/Message";
import { Counter } from "./Counter";
import { GrowingTextArea } from "./GrowingTextArea";
import { countCharacters, MOST_CHARACTERS, SHOWN_CHARACTERS } from "./limits";
import { PartActions } from "./PartActions";
import { type Draft, pasteText } from "./post";
import { StreamedText } from "./Writing";

interface CaptionEditorProps {
  draft: Draft;
  /** What has been written of another caption; null: none is being written. */
  streamed: string | null;
  onEdit: (caption: string) => void;
  onCopy: () => void;
  onRewrite: () => void;
  /** Something is being written. */
  disabled: boolean;
}

/** The caption of one variant, edited in place, with Instagram's limits. */
export function CaptionEditor({ draft, streamed, onEdit, onCopy, onRewrite, disabled }: CaptionEditorProps) {
  const total = countCharacters(pasteText(draft));
  return (
    <div className="flex flex-col gap-2">
      {streamed === null ? (
        <GrowingTextArea
          label="Caption"
          className="min-h-24"
          value={draft.caption}
          onChange={(event) => onEdit(event.target.value)}
        />
      ) : (
        <StreamedText text={streamed} />
      )}
      <p className="flex flex-wrap justify-between gap-x-4">
        <Counter value={countCharacters(draft.caption)} most={SHOWN_CHARACTERS} label="before “more”" />
        <Counter value={total} most={MOST_CHARACTERS} label="with hashtags" strict />
      </p>
      {total > MOST_CHARACTERS && (
        <Message kind="notice">
          Instagram takes at most 2,200 characters with hashtags: shorten the caption.
        </Message>
      )}
      <PartActions
        onCopy={onCopy}
        copyLabel="Copy caption"
        onRegenerate={onRewrite}
        regenerateLabel="Rewrite"
        disabled={disabled}
      />
    </div>
  );
}
