import { useState } from "react";
import type { Schemas } from "@/api/client";
import { isTooLong } from "@/api/limits";
import type { FeedbackItem } from "@/storage/database";
import { Button } from "@/ui/Button";
import { type Chip, Chips } from "@/ui/Chips";
import { Message } from "@/ui/Message";
import { ConsentDialog } from "./ConsentDialog";
import { useConsent } from "./consent";
import { feedbackQueue, useFeedbackItems } from "./delivery";
import { Stars } from "./Stars";
import { isSame, type Opinion, toSubmission, type Words } from "./submission";

const REASONS: readonly Chip<Schemas["Reason"] | "">[] = [
  { value: "", label: "Not sure" },
  { value: "wrong_place", label: "Wrong place" },
  { value: "wrong_subject", label: "Not what the photo shows" },
  { value: "wrong_tone", label: "Wrong tone" },
  { value: "bad_hashtags", label: "Bad hashtags" },
  { value: "too_long", label: "Too long" },
  { value: "too_short", label: "Too short" },
  { value: "offensive", label: "Offensive" },
  { value: "other", label: "Something else" },
];

/** The best rating at which it is asked what was wrong. */
const DISAPPOINTED = 3;

interface FeedbackBarProps {
  requestId: string;
  variant: number;
  /** As the service wrote it. */
  shown: Words;
  /** As it is now. */
  edited: Words;
}

/** Requests that were answered without consent, so the service didn't keep them. */
const notKept = new Set<string>();

/** Asks what the creator thinks of a caption, if they have agreed that it is kept for that. */
export function FeedbackBar(props: FeedbackBarProps) {
  // Whoever agrees later does so for later captions: the service doesn't have this one.
  return <Agreed key={props.requestId} {...props} />;
}

function Agreed(props: FeedbackBarProps) {
  const [consent] = useConsent();
  const [isKept] = useState(() => {
    if (consent !== "yes") notKept.add(props.requestId);
    return !notKept.has(props.requestId);
  });
  const [asking, setAsking] = useState(false);
  if (consent !== "yes") {
    return (
      <div>
        <Button kind="quiet" className="-ms-5" onClick={() => setAsking(true)}>
          Rate your captions
        </Button>
        <ConsentDialog open={asking} onAnswer={() => setAsking(false)} />
      </div>
    );
  }
  if (!isKept) return <Message kind="good">Thank you. You can rate captions from the next one on.</Message>;
  return <Rating key={props.variant} {...props} />;
}

function Rating({ requestId, variant, shown, edited }: FeedbackBarProps) {
  const items = useFeedbackItems();
  const last = items.data?.find(({ body }) => body.request_id === requestId && body.variant === variant);
  const [changed, setChanged] = useState<Partial<Opinion>>({});
  const opinion: Opinion = {
    rating: last?.body.rating ?? null,
    reason: last?.body.reason ?? "",
    flag: last?.body.flag ?? false,
    ...changed,
  };
  const isDisappointed = opinion.rating !== null && opinion.rating <= DISAPPOINTED;
  const submission = toSubmission(
    requestId,
    variant,
    isDisappointed ? opinion : { ...opinion, reason: "", flag: false },
    shown,
    edited,
  );
  const isNew = submission !== null && !(last && isSame(submission, last.body));
  const hasEdit = submission?.edited_caption !== undefined || submission?.edited_hashtags !== undefined;
  return (
    <section aria-label="Your feedback" className="flex flex-col gap-3">
      <Stars value={opinion.rating} onChange={(rating) => setChanged({ ...changed, rating })} />
      {isDisappointed && (
        <>
          <Chips
            legend="What is wrong?"
            chips={REASONS}
            value={opinion.reason}
            onChange={(reason) => setChanged({ ...changed, reason })}
          />
          <label className="flex min-h-11 items-center gap-3">
            <input
              type="checkbox"
              className="size-5 accent-accent"
              checked={opinion.flag}
              onChange={(event) => setChanged({ ...changed, flag: event.target.checked })}
            />
            A person should look at it
          </label>
        </>
      )}
      {isTooLong(edited.caption) && (
        <p className="text-sm text-muted">Your caption is longer than Instagram allows, so it isn't sent.</p>
      )}
      {isNew && (
        <Button
          className="self-start"
          onClick={() => void feedbackQueue.add(submission, submission.edited_caption ?? shown.caption)}
        >
          {labelOf(submission.rating !== undefined, hasEdit)}
        </Button>
      )}
      {!isNew && last && <Receipt item={last} />}
    </section>
  );
}

function labelOf(hasRating: boolean, hasEdit: boolean): string {
  if (!hasEdit) return "Send my rating";
  return hasRating ? "Send my rating and my edit" : "Send my edit";
}

function Receipt({ item }: { item: FeedbackItem }) {
  if (item.state === "refused") return <Message kind="problem">{item.problem}</Message>;
  return (
    <p role="status" className="text-sm text-muted">
      {item.state === "sent"
        ? "Sent. Thank you!"
        : "Saved on this device. It is sent as soon as the service takes it."}{" "}
      <a className="inline-flex min-h-11 items-center text-accent-text underline" href="#/sent">
        What you have sent
      </a>
    </p>
  );
}
