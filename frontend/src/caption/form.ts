// The body of a caption request.
import type { operations } from "@/api/schema";
import type { CaptionOptions } from "@/options/types";
import type { PreparedPhoto } from "@/photo/types";
import { cut, MOST_CHARACTERS } from "./limits";
import type { PostVariant } from "./post";

type Field = keyof operations["v1_generate-caption"]["requestBody"]["content"]["multipart/form-data"];

/** The part of a post that can be written again. */
export type Part = "caption" | "hashtags";

export interface CaptionRequest {
  photos: readonly PreparedPhoto[];
  options: CaptionOptions;
  /** The service may keep the photo and the captions for a day, so that feedback can refer to them. */
  keepForFeedback: boolean;
  /** Another number brings another caption; without one, the likeliest. */
  seed?: number;
  /** Write only this part of *variant* again. */
  again?: { part: Part; variant: PostVariant; hint: string };
}

const MOST_EARLIER_HASHTAGS = 30;

/** Only what is set is sent: everything else is the service's own choice. */
export function captionForm({ photos, options, keepForFeedback, seed, again }: CaptionRequest): FormData {
  const form = new FormData();
  const add = (field: Field, value: string | number | undefined) => {
    const text = String(value ?? "").trim();
    if (text) form.append(field, text);
  };
  // The name of a file may tell more than the creator wants to tell.
  for (const [index, photo] of photos.entries()) {
    form.append("image" satisfies Field, photo.jpeg, `photo-${index + 1}.jpg`);
  }
  add("tone", options.tone);
  add("length", options.length);
  add("emoji", options.emoji);
  add("language", options.language);
  add("location", options.location);
  add("hint", again?.hint.trim() || options.hint);
  add("hashtags", options.hashtags);
  add("variants", again ? undefined : options.variants);
  add("explain", "true");
  if (keepForFeedback) add("keep_for_feedback", "true");
  add("seed", seed);
  if (again) {
    const { shown, edited } = again.variant;
    add("regenerate", again.part);
    add("earlier_caption", cut(edited.caption.trim() || shown.caption, MOST_CHARACTERS));
    for (const { tag } of edited.hashtags.slice(0, MOST_EARLIER_HASHTAGS)) add("earlier_hashtags", tag);
  }
  return form;
}
