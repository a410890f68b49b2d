import { describe, expect, it } from "vitest";
import type { CaptionOptions } from "@/options/types";
import type { PreparedPhoto } from "@/photo/types";
import { captionForm } from "./form";
import type { PostVariant } from "./post";

const photo: PreparedPhoto = {
  id: "1",
  name: "Beach with Anna.heic",
  jpeg: new Blob(["x"], { type: "image/jpeg" }),
  width: 1,
  height: 1,
  url: "blob:1",
};
const options: CaptionOptions = {
  tone: "",
  length: "",
  emoji: "",
  language: " ",
  location: "",
  hint: "",
  hashtags: 8,
  variants: 1,
};
const draft = { caption: "Fog.", hashtags: [{ tag: "#fog", chosen: true, explanation: null }] };
const variant: PostVariant = {
  requestId: "r",
  number: 0,
  shown: draft,
  edited: { ...draft, caption: "My fog." },
};

function fieldsOf(form: FormData): Record<string, string[]> {
  const fields: Record<string, string[]> = {};
  for (const [name, value] of form) {
    const text = typeof value === "string" ? value : `${value.name} ${value.type}`;
    fields[name] = [...(fields[name] ?? []), text];
  }
  return fields;
}

describe("captionForm", () => {
  it("sends only what is set, and not the photo's name", () => {
    expect(fieldsOf(captionForm({ photos: [photo, photo], options, keepForFeedback: false }))).toEqual({
      image: ["photo-1.jpg image/jpeg", "photo-2.jpg image/jpeg"],
      hashtags: ["8"],
      variants: ["1"],
      explain: ["true"],
    });
  });

  it("sends the post so far, as the creator left it, when a part is written again", () => {
    const chosen = { ...options, tone: "witty", hint: "the fog", variants: 3 } as const;
    const again = { part: "hashtags", variant, hint: "" } as const;
    const form = captionForm({ photos: [photo], options: chosen, keepForFeedback: true, seed: 0, again });
    expect(fieldsOf(form)).toMatchObject({
      tone: ["witty"],
      hint: ["the fog"],
      regenerate: ["hashtags"],
      earlier_caption: ["My fog."],
      earlier_hashtags: ["#fog"],
      seed: ["0"],
      keep_for_feedback: ["true"],
    });
    expect(form.has("variants")).toBe(false);
  });

  it("prefers the hint of the moment, and an earlier caption that is not empty", () => {
    const empty = { ...variant, edited: { ...draft, caption: " " } };
    const again = { part: "caption", variant: empty, hint: "the sea" } as const;
    const form = captionForm({
      photos: [photo],
      options: { ...options, hint: "fog" },
      keepForFeedback: false,
      again,
    });
    expect(form.get("hint")).toBe("the sea");
    expect(form.get("earlier_caption")).toBe("Fog.");
  });
});
