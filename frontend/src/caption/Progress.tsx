import { useEffect, useState } from "react";
import { Button } from "@/ui/Button";
import { Message } from "@/ui/Message";
import type { Run } from "./reducer";
import { busySentence, canRepeat, failureSentence, progressSentence } from "./sentences";
import type { CaptionActions } from "./useCaption";

interface ProgressProps {
  run: Run;
  /** Number of photos. */
  photos: number;
  actions: Pick<CaptionActions, "retry" | "cancel">;
}

/** What the service does now, until when it is busy, or why it failed; and what the creator can do about it. */
export function Progress({ run, photos, actions }: ProgressProps) {
  switch (run.phase) {
    case "streaming":
      return (
        <div className="flex items-center justify-between gap-3">
          <p className="text-muted">
            {run.texts.some(Boolean) ? "Writing…" : progressSentence(run.task, photos)}
          </p>
          <Button kind="quiet" onClick={actions.cancel}>
            Stop
          </Button>
        </div>
      );
    case "waiting":
      return (
        <div className="flex flex-col gap-3">
          <Message kind="notice">{busySentence(run.problem)}</Message>
          <Countdown until={run.retryAt} />
          <div className="flex flex-wrap gap-2">
            <Button onClick={actions.retry}>Try now</Button>
            <Button kind="quiet" onClick={actions.cancel}>
              Stop
            </Button>
          </div>
        </div>
      );
    case "failed":
      return (
        <div className="flex flex-col gap-3">
          <Message kind="problem">{failureSentence(run.problem)}</Message>
          <div className="flex flex-wrap gap-2">
            {canRepeat(run.problem) && <Button onClick={actions.retry}>Try again</Button>}
            <Button kind="quiet" onClick={actions.cancel}>
              Close
            </Button>
          </div>
        </div>
      );
    default:
      return null;
  }
}

/** The seconds that are left. Screen readers can read a timer, but are not told of each second. */
function Countdown({ until }: { until: number }) {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 250);
    return () => clearInterval(timer);
  }, []);
  return (
    <p role="timer" className="tabular-nums text-muted">
      Trying again in {Math.max(0, Math.ceil((until - now) / 1000))} s
    </p>
  );
}
