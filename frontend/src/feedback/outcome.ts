// What a failed delivery means for a feedback.
import type { ServiceProblem } from "@/api/problems";

export type Outcome =
  /** It can be repeated after *seconds*; null: when the creator is back online, has another key, or visits again. */
  | { kind: "wait"; seconds: number | null }
  /** It was erased in the meantime. */
  | { kind: "erased" }
  /** Repeating it makes no sense. *why* is one sentence. */
  | { kind: "refused"; why: string };

/** Seconds until the next attempt if the service names none. */
export const PATIENCE = 30;

const NO_LONGER_KEPT =
  "The service no longer keeps this caption, so it takes no feedback on it. Captions are kept for about a day.";

/** Decide what to do with a feedback that was answered with *problem*. */
export function outcomeOf(problem: ServiceProblem): Outcome {
  const { status, reason, detail, retryAfter } = problem;
  if (status === 401) return { kind: "wait", seconds: null };
  if (status === 0 || status === 408 || status === 429 || status >= 500) {
    return { kind: "wait", seconds: retryAfter ?? PATIENCE };
  }
  if (status === 410) return { kind: "erased" };
  return { kind: "refused", why: reason === "unknown_request" ? NO_LONGER_KEPT : detail };
}
