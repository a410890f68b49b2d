// The caption's state machine with its requests: streams, retries while the service is busy, and cancels.
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useEffectEvent, useMemo, useReducer, useRef, useState } from "react";
import { ServiceProblem } from "@/api/problems";
import { streamCaption } from "@/api/stream";
import type { CaptionOptions } from "@/options/types";
import type { PreparedPhoto } from "@/photo/types";
import { type CaptionRequest, captionForm, type Part } from "./form";
import { type Post, selectedVariant } from "./post";
import { type CaptionState, captionReducer, INITIAL, type Task } from "./reducer";
import { nextAttempt } from "./retry";

export interface CaptionActions {
  /** Write a post. */
  start(photos: readonly PreparedPhoto[], options: CaptionOptions): void;
  /** Write one part of the variant in view again. *hint*: what to change; may be empty. */
  regenerate(part: Part, hint: string): void;
  /** Repeat the request that failed, or that waits. */
  retry(): void;
  /** Stop, and go back to the last post, if there is one. */
  cancel(): void;
  select(variant: number): void;
  editCaption(caption: string): void;
  toggleHashtag(tag: string): void;
  addHashtag(tag: string): void;
  removeHashtag(tag: string): void;
  editAltText(photo: number, text: string): void;
  undo(): void;
}

/** Whether the service may keep it is decided when it is sent: the creator may have changed their mind. */
type Request = Omit<CaptionRequest, "keepForFeedback">;

interface Job {
  task: Task;
  request: Request;
  /** When its attempts began, in milliseconds. */
  since: number;
}

/**
 * The caption of the photos that the creator works on.
 *
 * @param mayKeep returns whether the creator agrees now that the service keeps photo and captions for feedback. It has
 *   to be the same function each time.
 * @param onAnswer is called after each answer with the post as it is now and its photos. The post's id stays the same
 *   when a part was written again.
 */
export function useCaption(
  mayKeep: () => boolean,
  onAnswer: (post: Post, photos: readonly PreparedPhoto[]) => void = () => undefined,
): { state: CaptionState; captioned: readonly PreparedPhoto[]; actions: CaptionActions } {
  const [state, dispatch] = useReducer(captionReducer, INITIAL);
  // What the post was written from. A later request may have been stopped, or have failed.
  const [source, setSource] = useState<Request | null>(null);
  const queries = useQueryClient();
  const latest = useRef({ state, source });
  const job = useRef<Job | null>(null);
  const abort = useRef(new AbortController());
  useEffect(() => {
    latest.current = { state, source };
  });
  useEffect(() => () => abort.current.abort(), []);

  const tell = useEffectEvent(() => {
    if (state.post && source) onAnswer(state.post, source.photos);
  });
  useEffect(() => {
    if (state.answers > 0) tell();
  }, [state.answers]);

  const actions = useMemo<CaptionActions>(() => {
    async function attempt({ task, request, since }: Job): Promise<void> {
      abort.current.abort();
      abort.current = new AbortController();
      const { signal } = abort.current;
      dispatch({ type: "start", task });
      try {
        const form = captionForm({ ...request, keepForFeedback: mayKeep() });
        for await (const event of streamCaption(form, signal)) {
          if (signal.aborted) return;
          dispatch({ type: "event", event });
          if (event.type === "answer" && task.part === "post") setSource(request);
        }
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof ServiceProblem)) {
          dispatch({ type: "fail", problem: unexpected() });
          throw error;
        }
        // The key was revoked or has expired: the page asks for another one.
        if (error.status === 401) void queries.invalidateQueries({ queryKey: ["access"] });
        const retryAt = nextAttempt(error, since, Date.now());
        if (retryAt === null) dispatch({ type: "fail", problem: error });
        else dispatch({ type: "busy", problem: error, retryAt });
      }
    }

    function begin(task: Task, request: Request): void {
      job.current = { task, request, since: Date.now() };
      void attempt(job.current);
    }

    return {
      start(photos, options) {
        const request: Request = { photos, options };
        // The likeliest caption is always the same: who asks a second time wants another one.
        const repeated = latest.current.source !== null && isSame(latest.current.source, request);
        begin({ part: "post", variant: 0 }, repeated ? { ...request, seed: randomSeed() } : request);
      },
      regenerate(part, hint) {
        const { state, source } = latest.current;
        if (!state.post || !source) return;
        const { post } = state;
        const again = { part, variant: selectedVariant(post), hint };
        begin({ part, variant: post.selected }, { ...source, seed: randomSeed(), again });
      },
      retry() {
        if (!job.current) return;
        if (latest.current.state.run.phase === "failed") job.current.since = Date.now();
        void attempt(job.current);
      },
      cancel() {
        abort.current.abort();
        dispatch({ type: "cancel" });
      },
      select: (variant) => dispatch({ type: "select", variant }),
      editCaption: (caption) => dispatch({ type: "editCaption", caption }),
      toggleHashtag: (tag) => dispatch({ type: "toggleHashtag", tag }),
      addHashtag: (tag) => dispatch({ type: "addHashtag", tag }),
      removeHashtag: (tag) => dispatch({ type: "removeHashtag", tag }),
      editAltText: (photo, text) => dispatch({ type: "editAltText", photo, text }),
      undo: () => dispatch({ type: "undo" }),
    };
  }, [queries, mayKeep]);

  const retryAt = state.run.phase === "waiting" ? state.run.retryAt : null;
  useEffect(() => {
    if (retryAt === null) return;
    const timer = setTimeout(actions.retry, retryAt - Date.now());
    return () => clearTimeout(timer);
  }, [retryAt, actions]);

  return { state, captioned: source?.photos ?? NONE, actions };
}

const NONE: readonly PreparedPhoto[] = [];

/** An error of this page, or a stream that it can't read. */
function unexpected(): ServiceProblem {
  return new ServiceProblem(0, "unexpected", "Something went wrong here. Try again, or reload the page.");
}

function isSame(one: Request, other: Request): boolean {
  const ids = ({ photos }: Request) => photos.map((photo) => photo.id).join();
  return ids(one) === ids(other) && JSON.stringify(one.options) === JSON.stringify(other.options);
}

/** A number below 2³¹, the largest that the service takes. */
function randomSeed(): number {
  return Math.floor(Math.random() * 2 ** 31);
}
