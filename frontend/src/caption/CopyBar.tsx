import { Copy as CopyIcon, Share } from "lucide-react";
import type { PreparedPhoto } from "@/photo/types";
import { Button } from "@/ui/Button";
import { toast } from "@/ui/toast";
import type { Copy } from "@/ui/useCopy";
import { canShare, share } from "./share";

interface CopyBarProps {
  /** The text as it will be pasted. */
  text: string;
  photos: readonly PreparedPhoto[];
  copy: Copy;
}

/** The last step, always within reach of the thumb: copy everything, or share the photo. */
export function CopyBar({ text, photos, copy }: CopyBarProps) {
  const shareable = canShare(photos);
  const shareAfterCopy = async () => {
    if (!(await copy(text, "Caption copied"))) return;
    if (await share(photos)) toast("Now paste your caption there");
  };
  return (
    <>
      {shareable && (
        <p className="text-sm text-muted">
          Instagram drops text that comes with a shared photo. So “Share photo” copies your caption first:
          paste it there.
        </p>
      )}
      <div className="bottom-[calc(3.5rem+env(safe-area-inset-bottom))] z-[5] -mx-4 flex gap-2 bg-surface px-4 py-3 tall:sticky md:bottom-0">
        <Button kind="primary" className="min-h-13 grow" onClick={() => void copy(text, "Everything copied")}>
          <CopyIcon aria-hidden className="size-5" />
          Copy everything
        </Button>
        {shareable && (
          <Button className="min-h-13" title="Share photo" onClick={() => void shareAfterCopy()}>
            <Share aria-hidden className="size-5" />
            <span className="max-sm:sr-only">Share photo</span>
          </Button>
        )}
      </div>
    </>
  );
}
