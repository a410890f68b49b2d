import type { Schemas } from "@/api/client";
import { Button } from "@/ui/Button";
import { Dialog } from "@/ui/Dialog";
import type { Hashtag } from "./post";

const SOURCES: Record<Schemas["HashtagSource"], string> = {
  model: "Written for your photo",
  caption: "From your caption",
  place: "From the place",
  corpus: "Often used with your other hashtags",
  general: "Suits many photos",
};

interface HashtagDialogProps {
  /** Null: closed. */
  hashtag: Hashtag | null;
  onClose: () => void;
  onRemove: (tag: string) => void;
}

/** Where a hashtag comes from, why it was chosen, and how well it fits. */
export function HashtagDialog({ hashtag, onClose, onRemove }: HashtagDialogProps) {
  return (
    <Dialog title={hashtag?.tag ?? ""} open={hashtag !== null} onClose={onClose}>
      {hashtag && (
        <div className="flex flex-col gap-4">
          {hashtag.explanation ? <Explanation of={hashtag.explanation} /> : <p>You added this hashtag.</p>}
          <Button kind="danger" onClick={() => onRemove(hashtag.tag)}>
            Remove it from the list
          </Button>
        </div>
      )}
    </Dialog>
  );
}

function Explanation({ of: { source, why, relevance, reach } }: { of: Schemas["Explanation"] }) {
  return (
    <>
      <p className="font-semibold">{SOURCES[source]}</p>
      <p className="text-muted">{why}</p>
      <Meter label="Fits your photo" value={relevance} />
      {reach === null ? (
        <p className="text-muted">How often people use it is unknown here.</p>
      ) : (
        <Meter label="How often people use it" value={reach} />
      )}
    </>
  );
}

/** A share, from 0 to 1. */
function Meter({ label, value }: { label: string; value: number }) {
  return (
    <label className="flex flex-col gap-1">
      <span className="flex justify-between">
        {label}
        <span className="tabular-nums text-muted">{Math.round(100 * value)} %</span>
      </span>
      <meter min={0} max={1} value={value} className="h-4 w-full" />
    </label>
  );
}
