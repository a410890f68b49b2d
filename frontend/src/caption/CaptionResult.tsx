// The result: the caption as it is written, then the post that the creator edits and copies.
import { type ReactNode, useEffect, useRef } from "react";
import type { PreparedPhoto } from "@/photo/types";
import { useCopy } from "@/ui/useCopy";
import { PostEditor } from "./PostEditor";
import type { CaptionState } from "./reducer";
import { announcement } from "./sentences";
import type { CaptionActions } from "./useCaption";
import { Writing } from "./Writing";

interface CaptionResultProps {
  state: CaptionState;
  actions: CaptionActions;
  photos: readonly PreparedPhoto[];
  /** The photos that the post was written from. */
  captioned: readonly PreparedPhoto[];
  /** Shown below a complete post, such as a form for feedback. */
  slotBelow?: ReactNode;
}

export function CaptionResult({ state, actions, photos, captioned, slotBelow }: CaptionResultProps) {
  const { run, post } = state;
  const { copy, dialog } = useCopy();
  const result = useRef<HTMLDivElement>(null);
  const writesPost = run.phase !== "idle" && run.phase !== "done" && run.task.part === "post";
  useEffect(() => {
    if (!writesPost || !result.current) return;
    // On a phone, the result begins below the photo. While it is short, its least height lets it reach the top.
    const { top } = result.current.getBoundingClientRect();
    if (top < 0 || top > window.innerHeight / 2) result.current.scrollIntoView({ block: "start" });
  }, [writesPost]);
  return (
    <div ref={result} className="scroll-mt-4">
      {/* It is there before there is a result: a live region that appears with its text is not always read. */}
      <p role="status" className="sr-only">
        {announcement(state, photos.length)}
      </p>
      {(writesPost || post) && (
        <section aria-label="Result" className={`@container ${writesPost ? "min-h-dvh" : ""}`}>
          {writesPost || !post ? (
            <Writing run={run} photos={photos.length} actions={actions} copy={copy} />
          ) : (
            <>
              <PostEditor
                key={post.id}
                state={state}
                post={post}
                actions={actions}
                photos={photos}
                captioned={captioned}
                copy={copy}
              />
              {slotBelow}
            </>
          )}
        </section>
      )}
      {dialog}
    </div>
  );
}
