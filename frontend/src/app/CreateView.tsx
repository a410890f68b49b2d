import { Sparkles } from "lucide-react";
import { CaptionResult } from "@/caption/CaptionResult";
import { chosenHashtags, type Draft, type Post, selectedVariant } from "@/caption/post";
import { useCaption } from "@/caption/useCaption";
import { mayKeep } from "@/feedback/consent";
import { FeedbackBar } from "@/feedback/FeedbackBar";
import { OptionsPanel } from "@/options/OptionsPanel";
import { optionsPreference } from "@/options/remembered";
import { PhotoPicker } from "@/photo/PhotoPicker";
import { usePhotos } from "@/photo/usePhotos";
import { Button } from "@/ui/Button";
import { rememberPost, useRememberedPost } from "./useRememberedPost";

/** From photos to a post: photos and options on the one side, the result on the other. */
export function CreateView() {
  const photos = usePhotos();
  const { state, captioned, actions } = useCaption(mayKeep, (post, of) => void rememberPost(post, of));
  useRememberedPost(state.post);
  const isWriting = state.run.phase === "waiting" || state.run.phase === "streaming";
  const isReady = photos.photos.length > 0 && photos.preparing === 0;
  return (
    <div className="grid gap-8 lg:grid-cols-2">
      <div className="flex min-w-0 flex-col gap-6">
        <h1 className="text-2xl font-extrabold">Your photo, captioned</h1>
        <PhotoPicker {...photos} />
        <Button
          kind="primary"
          className="min-h-14 text-lg"
          // It stays focusable: the focus is on it while the caption is written.
          aria-disabled={!isReady || isWriting}
          onClick={() => isReady && !isWriting && actions.start(photos.photos, optionsPreference.get())}
        >
          <Sparkles aria-hidden />
          {state.post ? "Write another caption" : "Write my caption"}
        </Button>
        <OptionsPanel />
      </div>
      <CaptionResult
        state={state}
        actions={actions}
        photos={photos.photos}
        captioned={captioned}
        slotBelow={state.post && <Feedback post={state.post} />}
      />
    </div>
  );
}

function Feedback({ post }: { post: Post }) {
  const { requestId, number, shown, edited } = selectedVariant(post);
  return (
    <FeedbackBar requestId={requestId} variant={number} shown={wordsOf(shown)} edited={wordsOf(edited)} />
  );
}

function wordsOf(draft: Draft): { caption: string; hashtags: string[] } {
  return { caption: draft.caption, hashtags: chosenHashtags(draft) };
}
