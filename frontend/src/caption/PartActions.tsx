import { Copy as CopyIcon, RefreshCw } from "lucide-react";
import type { ReactNode } from "react";
import { Button } from "@/ui/Button";

interface PartActionsProps {
  onCopy: () => void;
  /** What the button that copies says. */
  copyLabel: ReactNode;
  onRegenerate: () => void;
  /** What the button that has the part written again says. */
  regenerateLabel: ReactNode;
  /** Whether the part can't be written again now. */
  disabled: boolean;
}

/** What can be done with the caption or the hashtags: copy them, or have them written again. */
export function PartActions({
  onCopy,
  copyLabel,
  onRegenerate,
  regenerateLabel,
  disabled,
}: PartActionsProps) {
  return (
    <div className="flex flex-wrap gap-2">
      <Button onClick={onCopy}>
        <CopyIcon aria-hidden className="size-5" />
        {copyLabel}
      </Button>
      {/* It stays focusable: the focus comes back to it from its dialog. */}
      <Button kind="quiet" aria-disabled={disabled} onClick={() => disabled || onRegenerate()}>
        <RefreshCw aria-hidden className="size-5" />
        {regenerateLabel}
      </Button>
    </div>
  );
}
