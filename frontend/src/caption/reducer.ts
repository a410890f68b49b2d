// State machine of the caption: what is being written, and the post that the creator edits.
import type { StreamEvent } from "@/api/events";
import type { ServiceProblem } from "@/api/problems";
import type { Part } from "./form";
import {
  type Draft,
  draftOf,
  exchangeHashtags,
  type Post,
  type PostVariant,
  postOf,
  selectedVariant,
} from "./post";

/** What is written: a new post, or one part of a variant again. */
export interface Task {
  part: "post" | Part;
  /** Index of the variant whose part it is. */
  variant: number;
}

export type Run =
  | { phase: "idle" }
  | { phase: "streaming"; task: Task; texts: readonly string[] }
  /** The service is busy. It is asked again at *retryAt*, in milliseconds. */
  | { phase: "waiting"; task: Task; problem: ServiceProblem; retryAt: number }
  /** *texts* is what had arrived of each variant. */
  | { phase: "failed"; task: Task; problem: ServiceProblem; texts: readonly string[] }
  /** *task* is null if it was canceled. */
  | { phase: "done"; task: Task | null };

export interface CaptionState {
  run: Run;
  /** The last complete post. It stays while another one is written. */
  post: Post | null;
  /** The post before each change, the latest last. */
  past: readonly { post: Post; change: string }[];
  /** Number of answers so far. */
  answers: number;
}

export type CaptionAction =
  | { type: "start"; task: Task }
  | { type: "event"; event: StreamEvent }
  | { type: "busy"; problem: ServiceProblem; retryAt: number }
  | { type: "fail"; problem: ServiceProblem }
  | { type: "cancel" }
  | { type: "select"; variant: number }
  | { type: "editCaption"; caption: string }
  | { type: "toggleHashtag"; tag: string }
  | { type: "addHashtag"; tag: string }
  | { type: "removeHashtag"; tag: string }
  | { type: "editAltText"; photo: number; text: string }
  | { type: "undo" };

export const INITIAL: CaptionState = { run: { phase: "idle" }, post: null, past: [], answers: 0 };

const MOST_UNDO = 50;

export function captionReducer(state: CaptionState, action: CaptionAction): CaptionState {
  const { run, post } = state;
  switch (action.type) {
    case "start":
      return { ...state, run: { phase: "streaming", task: action.task, texts: [] } };
    case "event":
      return run.phase === "streaming" ? receive(state, run, action.event) : state;
    case "busy":
      if (run.phase !== "streaming") return state;
      return {
        ...state,
        run: { phase: "waiting", task: run.task, problem: action.problem, retryAt: action.retryAt },
      };
    case "fail":
      if (run.phase !== "streaming") return state;
      return { ...state, run: { ...run, phase: "failed", problem: action.problem } };
    case "cancel":
      return { ...state, run: post ? { phase: "done", task: null } : { phase: "idle" } };
    default:
      return post ? edit(state, post, action) : state;
  }
}

function receive(
  state: CaptionState,
  run: Extract<Run, { phase: "streaming" }>,
  event: StreamEvent,
): CaptionState {
  if (event.type === "answer") {
    const done = { ...state, run: { phase: "done", task: run.task }, answers: state.answers + 1 } as const;
    if (run.task.part === "post" || !state.post) return { ...done, post: postOf(event.answer), past: [] };
    return change(done, rewrite(state.post, run.task, event.answer), `answer ${done.answers}`);
  }
  const texts = Array.from({ length: Math.max(run.texts.length, event.variant + 1) }, (_, index) => {
    const before = run.texts[index] ?? "";
    if (index !== event.variant) return before;
    return event.type === "replace" ? event.text : before + event.text;
  });
  return { ...state, run: { ...run, texts } };
}

/** The post with one part from *answer*. The other part stays as the creator left it. */
function rewrite(post: Post, task: Task, answer: Extract<StreamEvent, { type: "answer" }>["answer"]): Post {
  const written = draftOf(answer);
  const variants = post.variants.map((variant, index): PostVariant => {
    if (index !== task.variant) return variant;
    const source = { requestId: answer.request_id, number: 0 };
    const { edited } = variant;
    if (task.part === "hashtags") {
      return { ...source, shown: written, edited: exchangeHashtags(edited, written.hashtags) };
    }
    // The service sends the hashtags back as they were sent, without their explanations.
    const draft = { ...edited, caption: written.caption };
    return { ...source, shown: draft, edited: draft };
  });
  return { ...post, variants, notices: answer.notices };
}

type Edit = Exclude<CaptionAction, { type: "start" | "event" | "busy" | "fail" | "cancel" }>;

function edit(state: CaptionState, post: Post, action: Edit): CaptionState {
  switch (action.type) {
    case "select":
      return { ...state, post: { ...post, selected: action.variant } };
    case "undo": {
      const last = state.past.at(-1);
      return last ? { ...state, post: last.post, past: state.past.slice(0, -1) } : state;
    }
    case "editAltText": {
      const altTexts = post.altTexts.map((text, index) => (index === action.photo ? action.text : text));
      return change(state, { ...post, altTexts }, `alt text ${action.photo}`);
    }
    case "editCaption": {
      const draft = { ...selectedVariant(post).edited, caption: action.caption };
      return change(state, withDraft(post, draft), `caption ${post.selected}`);
    }
    default: {
      const draft = selectedVariant(post).edited;
      const hashtags = editHashtags(draft, action);
      return hashtags === draft.hashtags
        ? state
        : change(state, withDraft(post, { ...draft, hashtags }), `hashtags ${state.past.length}`);
    }
  }
}

function editHashtags(
  { hashtags }: Draft,
  action: Extract<Edit, { type: "toggleHashtag" | "addHashtag" | "removeHashtag" }>,
): Draft["hashtags"] {
  const { tag } = action;
  switch (action.type) {
    case "toggleHashtag":
      return hashtags.map((hashtag) =>
        hashtag.tag === tag ? { ...hashtag, chosen: !hashtag.chosen } : hashtag,
      );
    case "removeHashtag":
      return hashtags.filter((hashtag) => hashtag.tag !== tag);
    case "addHashtag":
      return hashtags.some((hashtag) => hashtag.tag === tag)
        ? hashtags.map((hashtag) => (hashtag.tag === tag ? { ...hashtag, chosen: true } : hashtag))
        : [...hashtags, { tag, chosen: true, explanation: null }];
  }
}

function withDraft(post: Post, edited: Draft): Post {
  const variants = post.variants.map((variant, index) =>
    index === post.selected ? { ...variant, edited } : variant,
  );
  return { ...post, variants };
}

/** The state with *post*. Changes of the same name that follow each other, as when typing, are undone together. */
function change(state: CaptionState, post: Post, name: string): CaptionState {
  const before = state.post;
  if (!before || state.past.at(-1)?.change === name) return { ...state, post };
  return { ...state, post, past: [...state.past, { post: before, change: name }].slice(-MOST_UNDO) };
}
