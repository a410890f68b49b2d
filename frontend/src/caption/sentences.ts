// What the page says while a caption is written, and when it can't be.
import type { ServiceProblem } from "@/api/problems";
import { selectedVariant } from "./post";
import type { CaptionState, Task } from "./reducer";

/** What is being done. */
export function progressSentence({ part }: Task, photos: number): string {
  switch (part) {
    case "post":
      return photos === 1 ? "Looking at your photo…" : `Looking at your ${photos} photos…`;
    case "caption":
      return "Writing another caption…";
    case "hashtags":
      return "Choosing other hashtags…";
  }
}

/** Why the creator has to wait. */
export function busySentence(problem: ServiceProblem): string {
  // What the service says here is for the person who runs it.
  return problem.reason === "engine_away"
    ? "The model that writes the captions can’t be reached right now."
    : problem.detail;
}

/** Why there is no caption, and what to do. */
export function failureSentence(problem: ServiceProblem): string {
  if (problem.reason === "no_model") {
    return "This service has no model yet, so it can't write captions. Ask the person who runs it, then try again.";
  }
  if (problem.isBusy) {
    const minutes = Math.ceil((problem.retryAfter ?? 0) / 60);
    return minutes > 1
      ? `The service is busy. Try again in ${minutes} minutes.`
      : "The service has been busy for some minutes. Your photo and options are still here; try again later.";
  }
  if (problem.reason === "engine_away") return `${busySentence(problem)} Try again in a moment.`;
  if (problem.status === 504) return "The service took too long to answer. Try again in a moment.";
  return problem.detail;
}

/** Whether the same request may succeed later. What is wrong with the request itself stays wrong. */
export function canRepeat({ status }: ServiceProblem): boolean {
  return status === 0 || status === 408 || status === 429 || status >= 500;
}

/** What screen readers are told: when something begins, and the whole of it once it is done, not each word. */
export function announcement({ run, post }: CaptionState, photos: number): string {
  if (run.phase === "streaming") return progressSentence(run.task, photos);
  if (run.phase !== "done" || run.task === null || post === null) return "";
  const { shown } = post.variants[run.task.variant] ?? selectedVariant(post);
  switch (run.task.part) {
    case "post":
      return `Your caption is ready: ${shown.caption}`;
    case "caption":
      return `Another caption is ready: ${shown.caption}`;
    case "hashtags":
      return `Other hashtags are ready: ${shown.hashtags.map(({ tag }) => tag).join(" ")}`;
  }
}
