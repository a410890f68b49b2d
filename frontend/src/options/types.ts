import type { Schemas } from "@/api/client";

/** What the creator can choose. Empty: the service's own choice. */
export interface CaptionOptions {
  tone: Schemas["Tone"] | "";
  length: Schemas["Length"] | "";
  emoji: Schemas["Emoji"] | "";
  language: string;
  location: string;
  hint: string;
  hashtags: number;
  variants: number;
}
