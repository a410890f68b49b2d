import { Button } from "@/ui/Button";
import type { Copy } from "@/ui/useCopy";
import { Progress } from "./Progress";
import type { Run } from "./reducer";
import type { CaptionActions } from "./useCaption";

interface WritingProps {
  run: Run;
  photos: number;
  actions: CaptionActions;
  copy: Copy;
}

/** A new post while it is written: the text so far of each variant. */
export function Writing({ run, photos, actions, copy }: WritingProps) {
  const texts = "texts" in run ? run.texts.filter(Boolean) : [];
  return (
    <div className="flex flex-col gap-4">
      {texts.length === 0 && run.phase === "streaming" && <Skeleton />}
      {texts.map((text, index) => (
        <StreamedText
          // biome-ignore lint/suspicious/noArrayIndexKey: a variant is its index; its text grows.
          key={index}
          text={text}
        />
      ))}
      <Progress run={run} photos={photos} actions={actions} />
      {run.phase === "failed" && texts.length > 0 && (
        <Button onClick={() => void copy(texts.join("\n\n"), "Text copied")}>Copy what has arrived</Button>
      )}
    </div>
  );
}

/** Text of a caption so far. */
export function StreamedText({ text }: { text: string }) {
  return (
    <p
      dir="auto"
      className="min-h-24 rounded-2xl border border-line bg-raised px-4 py-3 leading-relaxed whitespace-pre-wrap wrap-anywhere"
    >
      {text}
    </p>
  );
}

function Skeleton() {
  return (
    <div aria-hidden className="flex min-h-24 animate-pulse flex-col gap-3 rounded-2xl bg-sunken px-4 py-4">
      <span className="h-3 w-11/12 rounded-full bg-line" />
      <span className="h-3 w-4/5 rounded-full bg-line" />
      <span className="h-3 w-2/5 rounded-full bg-line" />
    </div>
  );
}
