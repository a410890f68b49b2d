import { Undo2 } from "lucide-react";
import { useState } from "react";
import type { PreparedPhoto } from "@/photo/types";
import { IconButton } from "@/ui/Button";
import { Message } from "@/ui/Message";
import type { Copy } from "@/ui/useCopy";
import { AltTexts } from "./AltTexts";
import { CaptionEditor } from "./CaptionEditor";
import { CopyBar } from "./CopyBar";
import type { Part } from "./form";
import { Hashtags } from "./Hashtags";
import { Preview } from "./Preview";
import { Progress } from "./Progress";
import { altTextsOf, chosenHashtags, type Post, pasteText, selectedVariant } from "./post";
import { RegenerateDialog } from "./RegenerateDialog";
import type { CaptionState } from "./reducer";
import type { CaptionActions } from "./useCaption";
import { VariantSwiper } from "./VariantSwiper";
import { StreamedText } from "./Writing";

interface PostEditorProps {
  state: CaptionState;
  post: Post;
  actions: CaptionActions;
  photos: readonly PreparedPhoto[];
  /** The photos that the post was written from. */
  captioned: readonly PreparedPhoto[];
  copy: Copy;
}

/** A complete post: its variants, hashtags, alt texts and preview, all of which the creator can change. */
export function PostEditor({ state, post, actions, photos, captioned, copy }: PostEditorProps) {
  const [dialog, setDialog] = useState<Part | null>(null);
  const { run } = state;
  const { edited } = selectedVariant(post);
  const task = run.phase === "idle" || run.phase === "done" ? null : run.task;
  const text = pasteText(edited);
  const altTexts = altTextsOf(post, idsOf(captioned), idsOf(photos.length > 0 ? photos : captioned));
  const streamedTo = run.phase === "streaming" && run.task.part === "caption" ? run.task.variant : null;
  const progress = <Progress run={run} photos={photos.length} actions={actions} />;
  return (
    <div className="flex flex-col gap-6">
      <div className="grid items-start gap-6 @3xl:grid-cols-[1fr_22rem]">
        <div className="flex min-w-0 flex-col gap-6">
          <section aria-label="Caption" className="flex flex-col gap-3">
            <div className="flex items-center justify-between">
              <h2 className="text-xl font-bold">Your caption</h2>
              <IconButton label="Undo" onClick={actions.undo} disabled={state.past.length === 0}>
                <Undo2 aria-hidden />
              </IconButton>
            </div>
            <VariantSwiper count={post.variants.length} selected={post.selected} onSelect={actions.select}>
              {(index) => {
                const draft = post.variants[index]?.edited ?? edited;
                return (
                  <CaptionEditor
                    draft={draft}
                    streamed={index === streamedTo && run.phase === "streaming" ? (run.texts[0] ?? "") : null}
                    onEdit={actions.editCaption}
                    onCopy={() => void copy(draft.caption, "Caption copied")}
                    onRewrite={() => setDialog("caption")}
                    disabled={task !== null}
                  />
                );
              }}
            </VariantSwiper>
            {run.phase === "failed" && run.texts[0] && <StreamedText text={run.texts[0]} />}
            {task?.part === "caption" && progress}
            {post.notices.map((notice) => (
              <Message key={notice} kind="notice">
                {notice}
              </Message>
            ))}
          </section>
          <Hashtags
            // What is typed or explained belongs to one variant.
            key={post.selected}
            draft={edited}
            actions={actions}
            onCopy={() => void copy(chosenHashtags(edited).join(" "), "Hashtags copied")}
            onRegenerate={() => setDialog("hashtags")}
            disabled={task !== null}
          />
          {task?.part === "hashtags" && progress}
          <AltTexts
            texts={altTexts}
            onEdit={actions.editAltText}
            onCopy={(altText) => void copy(altText, "Alt text copied")}
          />
        </div>
        <section aria-label="Preview" className="flex min-w-0 flex-col gap-3">
          <h3 className="text-lg font-bold">On Instagram</h3>
          <Preview photos={photos} altTexts={altTexts.map((alt) => alt?.text ?? "")} text={text} />
        </section>
      </div>
      <CopyBar text={text} photos={photos} copy={copy} />
      <RegenerateDialog
        part={dialog}
        onClose={() => setDialog(null)}
        onRegenerate={(part, hint) => {
          setDialog(null);
          actions.regenerate(part, hint);
        }}
      />
    </div>
  );
}

function idsOf(photos: readonly PreparedPhoto[]): string[] {
  return photos.map(({ id }) => id);
}
