import { Check, Info, Plus } from "lucide-react";
import { type FormEvent, useRef, useState } from "react";
import { Button, IconButton } from "@/ui/Button";
import { TextField } from "@/ui/Field";
import { Message } from "@/ui/Message";
import { Counter } from "./Counter";
import { HashtagDialog } from "./HashtagDialog";
import { parseHashtags } from "./hashtags";
import { MOST_HASHTAGS, MOST_HASHTAGS_BEFORE } from "./limits";
import { PartActions } from "./PartActions";
import { countHashtags, type Draft, type Hashtag } from "./post";
import type { CaptionActions } from "./useCaption";

interface HashtagsProps {
  draft: Draft;
  actions: Pick<CaptionActions, "toggleHashtag" | "addHashtag" | "removeHashtag">;
  onCopy: () => void;
  onRegenerate: () => void;
  /** Something is being written. */
  disabled: boolean;
}

/** The hashtags of one variant: those that go into the post, and suggestions. */
export function Hashtags({ draft, actions, onCopy, onRegenerate, disabled }: HashtagsProps) {
  const [explained, setExplained] = useState<string | null>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  const removed = useRef(false);
  const count = countHashtags(draft);
  const remove = (tag: string) => {
    removed.current = true;
    actions.removeHashtag(tag);
  };
  const close = () => {
    setExplained(null);
    // The button that opened the dialog is gone, so the focus can't go back there.
    if (removed.current) heading.current?.focus();
    removed.current = false;
  };
  return (
    <section aria-label="Hashtags" className="flex flex-col gap-3">
      <div className="flex flex-wrap items-baseline justify-between gap-x-4">
        <h3 ref={heading} tabIndex={-1} className="text-lg font-bold">
          Hashtags
        </h3>
        <Counter value={count} most={MOST_HASHTAGS} label="in the post" strict />
      </div>
      <ul className="flex flex-wrap gap-2">
        {draft.hashtags.map((hashtag) => (
          <Chip
            key={hashtag.tag}
            hashtag={hashtag}
            onToggle={() => actions.toggleHashtag(hashtag.tag)}
            onExplain={() => setExplained(hashtag.tag)}
          />
        ))}
      </ul>
      {count > MOST_HASHTAGS && (
        <Message kind="notice">
          {count > MOST_HASHTAGS_BEFORE
            ? `Instagram takes at most ${MOST_HASHTAGS} hashtags, and never more than ${MOST_HASHTAGS_BEFORE}: turn some off.`
            : `Instagram takes at most ${MOST_HASHTAGS} hashtags, those in the caption included: turn ${count - MOST_HASHTAGS} off. Accounts without that limit may use ${MOST_HASHTAGS_BEFORE}.`}
        </Message>
      )}
      <AddHashtag onAdd={actions.addHashtag} />
      <PartActions
        onCopy={onCopy}
        copyLabel="Copy hashtags"
        onRegenerate={onRegenerate}
        regenerateLabel="Replace"
        disabled={disabled}
      />
      <HashtagDialog
        hashtag={draft.hashtags.find(({ tag }) => tag === explained) ?? null}
        onClose={close}
        onRemove={remove}
      />
    </section>
  );
}

interface ChipProps {
  hashtag: Hashtag;
  onToggle: () => void;
  onExplain: () => void;
}

function Chip({ hashtag: { tag, chosen }, onToggle, onExplain }: ChipProps) {
  const Mark = chosen ? Check : Plus;
  return (
    <li
      className={`flex max-w-full items-center rounded-full border ${chosen ? "border-accent-text bg-accent-soft" : "border-dashed border-line bg-raised"}`}
    >
      <button
        type="button"
        aria-pressed={chosen}
        onClick={onToggle}
        className="flex min-h-11 min-w-0 items-center gap-1.5 rounded-full pl-3 font-medium"
      >
        <Mark aria-hidden className="size-4 shrink-0" />
        <bdi className="truncate">{tag}</bdi>
      </button>
      <IconButton label={`About ${tag}`} onClick={onExplain} className="text-muted">
        <Info aria-hidden className="size-4" />
      </IconButton>
    </li>
  );
}

function AddHashtag({ onAdd }: { onAdd: (tag: string) => void }) {
  const [text, setText] = useState("");
  const [invalid, setInvalid] = useState(false);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const tags = parseHashtags(text);
    setInvalid(tags === null);
    if (tags === null) return;
    for (const tag of tags) onAdd(tag);
    setText("");
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-2">
      <div className="flex items-end gap-2">
        <div className="grow">
          <TextField
            label="Add your own"
            placeholder="#goldengate"
            autoCapitalize="none"
            enterKeyHint="done"
            aria-invalid={invalid}
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
        </div>
        <Button type="submit">Add</Button>
      </div>
      {invalid && (
        <Message kind="problem">A hashtag has letters and digits only, and at least one letter.</Message>
      )}
    </form>
  );
}
