// Feedback on one caption, as the service takes it.
import type { Schemas } from "@/api/client";
import { isTooLong, MAX_HASHTAGS } from "@/api/limits";
import type { FeedbackBody } from "@/storage/database";

/** Caption and hashtags of one variant. */
export interface Words {
  caption: string;
  hashtags: readonly string[];
}

export interface Opinion {
  /** 1 to 5; null: not rated. */
  rating: number | null;
  /** What was wrong; empty: not said. */
  reason: Schemas["Reason"] | "";
  /** A person should look. */
  flag: boolean;
}

/** Returns the body of POST /v1/feedback, or null if there is nothing to say. */
export function toSubmission(
  requestId: string,
  variant: number,
  opinion: Opinion,
  shown: Words,
  edited: Words,
): FeedbackBody | null {
  const said = {
    ...(opinion.rating !== null && { rating: opinion.rating }),
    ...(opinion.reason && { reason: opinion.reason }),
    ...(opinion.flag && { flag: true }),
    ...editOf(shown, edited),
  };
  return Object.keys(said).length ? { request_id: requestId, variant, ...said } : null;
}

/** Returns what the creator changed. An empty or too long caption is no edit that could be sent. */
function editOf(shown: Words, edited: Words): Pick<FeedbackBody, "edited_caption" | "edited_hashtags"> {
  const caption = edited.caption.trim();
  const hashtags = edited.hashtags.slice(0, MAX_HASHTAGS);
  return {
    ...(caption && caption !== shown.caption.trim() && !isTooLong(caption) && { edited_caption: caption }),
    ...(hashtags.join(" ") !== shown.hashtags.join(" ") && { edited_hashtags: hashtags }),
  };
}

export function isSame(one: FeedbackBody, other: FeedbackBody): boolean {
  const fields = (body: FeedbackBody) =>
    JSON.stringify(Object.entries(body).sort(([a], [b]) => (a < b ? -1 : 1)));
  return fields(one) === fields(other);
}
