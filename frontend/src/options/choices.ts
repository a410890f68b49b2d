// The choices that the options offer, with an example of each tone.
import type { Chip } from "@/ui/Chips";
import type { CaptionOptions } from "./types";

export const TONES: readonly Chip<CaptionOptions["tone"]>[] = [
  { value: "", label: "Your voice", note: "like your captions" },
  { value: "playful", label: "Playful", note: "Best. Day. Ever! 🎉" },
  { value: "inspirational", label: "Inspirational", note: "Chase the light." },
  { value: "minimal", label: "Minimal", note: "Fog, then gold." },
  { value: "professional", label: "Professional", note: "Evening over the bay." },
  { value: "witty", label: "Witty", note: "Plot twist: it rained." },
];

export const LENGTHS: readonly Chip<CaptionOptions["length"]>[] = [
  { value: "", label: "Any" },
  { value: "short", label: "Short", note: "12 words" },
  { value: "medium", label: "Medium", note: "30 words" },
  { value: "long", label: "Long", note: "60 words" },
];

export const EMOJI: readonly Chip<CaptionOptions["emoji"]>[] = [
  { value: "", label: "Any" },
  { value: "none", label: "None" },
  { value: "some", label: "Some", note: "✨" },
  { value: "many", label: "Many", note: "🌅✨🧡" },
];

export const VARIANTS: readonly Chip<string>[] = ["1", "2", "3", "4"].map((value) => ({
  value,
  label: value,
}));

/** Most hashtags that the service suggests. */
export const MOST_HASHTAGS = 30;

// biome-ignore format: one code after the other is easier to read.
const SUGGESTED_LANGUAGES = [
  "ar", "bn", "cs", "da", "de", "el", "en", "es", "fa", "fi", "fr", "he", "hi", "hu", "id", "it", "ja", "ko", "ms",
  "nb", "nl", "pl", "pt", "ro", "ru", "sv", "sw", "ta", "th", "tr", "uk", "ur", "vi", "zh",
];

/**
 * Languages to suggest, by names that the service understands. Any other one can be typed.
 *
 * Browsers and the service name some regional ones differently, so these are in English.
 */
export function suggestedLanguages(): string[] {
  const own = SUGGESTED_LANGUAGES.map(
    (tag) => new Intl.DisplayNames([tag], { type: "language" }).of(tag) ?? tag,
  );
  return [...own, "Brazilian Portuguese", "Traditional Chinese"];
}
