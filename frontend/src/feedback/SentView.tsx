import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Star, Trash2 } from "lucide-react";
import { useRef, useState } from "react";
import type { FeedbackItem } from "@/storage/database";
import { Button, IconButton } from "@/ui/Button";
import { ConfirmDialog } from "@/ui/ConfirmDialog";
import { Message } from "@/ui/Message";
import { toast } from "@/ui/toast";
import { useFocusAfterRemoval } from "@/ui/useFocusAfterRemoval";
import { feedbackQueue, useFeedbackItems } from "./delivery";

const STATES: Record<FeedbackItem["state"], string> = {
  waiting: "Waits to be sent",
  sending: "Waits to be sent",
  sent: "Sent",
  refused: "Not accepted",
};

/** What the creator has sent from this device, or will send. */
export function SentView() {
  const items = useFeedbackItems();
  const list = useRef<HTMLUListElement>(null);
  useFocusAfterRemoval(list, items.data?.length ?? 0);
  const queries = useQueryClient();
  const [confirming, setConfirming] = useState(false);
  const erase = useMutation({
    mutationFn: (id: string | null) => (id === null ? feedbackQueue.eraseAll() : feedbackQueue.erase(id)),
    networkMode: "always",
    onSuccess(isErased, id) {
      // Erasing everything also erases the voice.
      if (id === null) void queries.invalidateQueries({ queryKey: ["voice"] });
      toast(isErased ? "Erased" : "The service erases it as soon as it reaches its store.");
    },
  });
  return (
    <div className="mx-auto flex max-w-2xl flex-col gap-4">
      <h1 className="text-2xl font-extrabold">What you have sent</h1>
      <p className="text-muted">
        Your ratings and edits from this device. What you erase here is also erased in the service, and later
        models are trained without it.
      </p>
      {erase.error && <Message kind="problem">{erase.error.message}</Message>}
      {items.data?.length === 0 && <p>Nothing yet. Rate a caption, and it appears here.</p>}
      <ul ref={list} tabIndex={-1} aria-label="Feedback" className="flex flex-col gap-3 outline-none">
        {items.data?.map((item) => (
          <li key={item.id}>
            <SentItem
              item={item}
              isErasing={erase.isPending && (erase.variables ?? item.id) === item.id}
              onErase={() => erase.mutate(item.id)}
            />
          </li>
        ))}
      </ul>
      <Button
        kind="danger"
        className="self-start"
        disabled={erase.isPending}
        onClick={() => setConfirming(true)}
      >
        Erase everything
      </Button>
      <ConfirmDialog
        title="Erase everything?"
        open={confirming}
        onClose={() => setConfirming(false)}
        action="Erase everything"
        onConfirm={() => erase.mutate(null)}
      >
        This erases all of your feedback, from other devices too, what is kept for feedback, and your voice:
        all the captions that you saved. It can't be undone.
      </ConfirmDialog>
    </div>
  );
}

interface SentItemProps {
  item: FeedbackItem;
  isErasing: boolean;
  onErase: () => void;
}

function SentItem({ item, isErasing, onErase }: SentItemProps) {
  const { rating, edited_caption, edited_hashtags, flag } = item.body;
  const facts = [
    edited_caption !== undefined && "Your caption",
    edited_hashtags !== undefined && "Your hashtags",
    flag && "A person should look",
  ].filter(Boolean);
  return (
    <article className="flex items-start gap-2 rounded-3xl border border-line bg-raised p-4">
      <div className="min-w-0 flex-1">
        <p dir="auto" className="line-clamp-3 wrap-anywhere whitespace-pre-line">
          {item.caption}
        </p>
        {edited_hashtags && (
          <p dir="auto" className="wrap-anywhere text-muted">
            {edited_hashtags.join(" ")}
          </p>
        )}
        <p className="mt-2 flex flex-wrap items-center gap-x-3 gap-y-1 text-sm text-muted">
          {rating !== undefined && (
            <span className="inline-flex items-center gap-1">
              <Star aria-hidden className="size-4 fill-current text-accent-text" />
              {rating === 1 ? "1 star" : `${rating} stars`}
            </span>
          )}
          {facts.length > 0 && <span>{facts.join(", ")}</span>}
          <time dateTime={new Date(item.createdAt).toISOString()}>
            {new Date(item.createdAt).toLocaleString()}
          </time>
          <span className="font-semibold text-ink">{STATES[item.state]}</span>
        </p>
        {item.problem && <p className="mt-1 text-sm text-danger">{item.problem}</p>}
      </div>
      <IconButton label="Erase" disabled={isErasing} onClick={onErase}>
        <Trash2 aria-hidden />
      </IconButton>
    </article>
  );
}
