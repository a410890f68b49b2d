import { describe, expect, it } from "vitest";
import type { Schemas } from "@/api/client";
import { ServiceProblem } from "@/api/problems";
import { chosenHashtags, type Post, pasteText, selectedVariant } from "./post";
import { type CaptionAction, type CaptionState, captionReducer, INITIAL } from "./reducer";

const TASK = { part: "post", variant: 0 } as const;
const BUSY = new ServiceProblem(503, "queue_full", "Too many photos wait already.", 3);

function variantOf(caption: string, tags: string[], explained = true): Schemas["Variant"] {
  return {
    caption,
    hashtags: tags,
    explanations: explained
      ? tags.map((hashtag) => ({
          hashtag,
          source: "model",
          why: "Written for it.",
          relevance: 0.5,
          reach: null,
        }))
      : null,
    post: `${caption}\n\n${tags.slice(0, 5).join(" ")}`,
  };
}

function answerOf(request: string, ...variants: Schemas["Variant"][]): Schemas["CaptionAnswer"] {
  const [first] = variants;
  if (!first) throw new Error("no variant");
  return {
    ...first,
    variants,
    alt_text: "A bridge.",
    alt_texts: ["A bridge."],
    notices: [],
    request_id: request,
    model_version: "demo/1",
    timing: { decode: 1, queue: 1, first_token: 1, generate: 1, hashtags: 1, total: 1 },
  };
}

function reduce(state: CaptionState, ...actions: CaptionAction[]): CaptionState {
  return actions.reduce(captionReducer, state);
}

const answered = (answer: Schemas["CaptionAnswer"]): CaptionAction => ({
  type: "event",
  event: { type: "answer", answer },
});

const TAGS = ["#a1", "#b1", "#c1", "#d1", "#e1", "#f1"];
const WRITTEN = reduce(
  INITIAL,
  { type: "start", task: TASK },
  answered(answerOf("r1", variantOf("Fog.", TAGS), variantOf("Ferry.", ["#sea"]))),
);

function postOf(state: CaptionState): Post {
  if (!state.post) throw new Error("no post");
  return state.post;
}

describe("a stream", () => {
  it("grows each variant's text, and replaces it", () => {
    const token = (variant: number, text: string): CaptionAction => ({
      type: "event",
      event: { type: "token", variant, text },
    });
    const state = reduce(
      INITIAL,
      { type: "start", task: TASK },
      token(1, "Fe"),
      token(0, "Fog"),
      token(1, "rry"),
    );
    expect(state.run).toMatchObject({ phase: "streaming", texts: ["Fog", "Ferry"] });
    const replaced = reduce(state, { type: "event", event: { type: "replace", variant: 1, text: "Boat" } });
    expect(replaced.run).toMatchObject({ texts: ["Fog", "Boat"] });
  });

  it("ends with a post whose first five hashtags are chosen", () => {
    expect(WRITTEN.run).toEqual({ phase: "done", task: TASK });
    const [first] = postOf(WRITTEN).variants;
    expect(first && pasteText(first.edited)).toBe("Fog.\n\n#a1 #b1 #c1 #d1 #e1");
    expect(postOf(WRITTEN).variants[1]).toMatchObject({ requestId: "r1", number: 1 });
  });

  it("keeps the text so far when it breaks", () => {
    const problem = new ServiceProblem(0, "interrupted", "It broke.");
    const state = reduce(
      INITIAL,
      { type: "start", task: TASK },
      { type: "event", event: { type: "token", variant: 0, text: "Fog" } },
      { type: "fail", problem },
    );
    expect(state.run).toEqual({ phase: "failed", task: TASK, problem, texts: ["Fog"] });
  });

  it("waits while the service is busy, and begins anew", () => {
    const waiting = reduce(
      INITIAL,
      { type: "start", task: TASK },
      { type: "busy", problem: BUSY, retryAt: 5 },
    );
    expect(waiting.run).toEqual({ phase: "waiting", task: TASK, problem: BUSY, retryAt: 5 });
    expect(reduce(waiting, { type: "start", task: TASK }).run).toMatchObject({
      phase: "streaming",
      texts: [],
    });
  });

  it("ignores what arrives after a cancel, and goes back to the last post", () => {
    const canceled = reduce(INITIAL, { type: "start", task: TASK }, { type: "cancel" });
    expect(canceled.run).toEqual({ phase: "idle" });
    expect(reduce(canceled, answered(answerOf("r2", variantOf("Late.", [])))).post).toBeNull();
    const again = reduce(WRITTEN, { type: "start", task: TASK }, { type: "cancel" });
    expect(again).toEqual({ ...WRITTEN, run: { phase: "done", task: null } });
  });
});

describe("edits", () => {
  it("change the variant in view only, and not what was shown", () => {
    const state = reduce(
      WRITTEN,
      { type: "select", variant: 1 },
      { type: "editCaption", caption: "My ferry." },
    );
    const [first, second] = postOf(state).variants;
    expect(first?.edited.caption).toBe("Fog.");
    expect(second).toMatchObject({ shown: { caption: "Ferry." }, edited: { caption: "My ferry." } });
  });

  it("choose, add and remove hashtags", () => {
    const state = reduce(
      WRITTEN,
      { type: "toggleHashtag", tag: "#a1" },
      { type: "toggleHashtag", tag: "#f1" },
      { type: "removeHashtag", tag: "#b1" },
      { type: "addHashtag", tag: "#mine" },
      { type: "addHashtag", tag: "#a1" },
    );
    const { edited } = selectedVariant(postOf(state));
    expect(chosenHashtags(edited)).toEqual(["#a1", "#c1", "#d1", "#e1", "#f1", "#mine"]);
  });

  it("change the alt text of one photo", () => {
    expect(postOf(reduce(WRITTEN, { type: "editAltText", photo: 0, text: "Mine." })).altTexts).toEqual([
      "Mine.",
    ]);
  });

  it("are undone one by one, but typing as a whole", () => {
    const typed = reduce(
      WRITTEN,
      { type: "editCaption", caption: "F" },
      { type: "editCaption", caption: "Fo" },
      { type: "toggleHashtag", tag: "#a1" },
      { type: "toggleHashtag", tag: "#b1" },
    );
    const undone = [1, 2, 3, 4].map((times) =>
      pasteText(
        selectedVariant(postOf(reduce(typed, ...Array<CaptionAction>(times).fill({ type: "undo" })))).edited,
      ),
    );
    expect(undone).toEqual([
      "Fo\n\n#b1 #c1 #d1 #e1",
      "Fo\n\n#a1 #b1 #c1 #d1 #e1",
      "Fog.\n\n#a1 #b1 #c1 #d1 #e1",
      "Fog.\n\n#a1 #b1 #c1 #d1 #e1",
    ]);
  });
});

describe("writing a part again", () => {
  const edited = reduce(
    WRITTEN,
    { type: "editCaption", caption: "My fog. #bay" },
    { type: "addHashtag", tag: "#mine" },
    { type: "toggleHashtag", tag: "#a1" },
  );

  it("brings another caption, and keeps the hashtags with their explanations", () => {
    const state = reduce(
      edited,
      { type: "start", task: { part: "caption", variant: 0 } },
      { type: "select", variant: 1 },
      answered(answerOf("r2", variantOf("Haze.", [...TAGS, "#mine"], false))),
    );
    const [first, second] = postOf(state).variants;
    expect(first).toMatchObject({ requestId: "r2", number: 0, edited: { caption: "Haze." } });
    expect(first?.edited.hashtags).toEqual(postOf(edited).variants[0]?.edited.hashtags);
    expect(second).toEqual(postOf(edited).variants[1]);
    expect(postOf(reduce(state, { type: "undo" })).variants).toEqual(postOf(edited).variants);
  });

  it("brings other hashtags, and keeps the caption and the creator's own hashtags", () => {
    const fresh = ["#g1", "#h1", "#i1", "#j1", "#k1"];
    const state = reduce(
      edited,
      { type: "start", task: { part: "hashtags", variant: 0 } },
      answered(answerOf("r2", variantOf("My fog. #bay", fresh))),
    );
    const variant = selectedVariant(postOf(state));
    expect(variant.edited.caption).toBe("My fog. #bay");
    // With #bay in the caption, that is five.
    expect(chosenHashtags(variant.edited)).toEqual(["#g1", "#h1", "#i1", "#mine"]);
    expect(postOf(state).id).toBe("r1");
  });
});
