// Options that are remembered between visits, and what a request sends of them.
import { createPreference } from "@/storage/preferences";
import { EMOJI, LENGTHS, MOST_HASHTAGS, TONES, VARIANTS } from "./choices";
import type { CaptionOptions } from "./types";

export const DEFAULT_OPTIONS: CaptionOptions = {
  tone: "",
  length: "",
  emoji: "",
  language: "",
  location: "",
  hint: "",
  hashtags: 8,
  variants: 1,
};

export const optionsPreference = createPreference<CaptionOptions>(
  "options",
  DEFAULT_OPTIONS,
  isCaptionOptions,
);

/** Whether a stored *value* can be used. An older release may have stored something else. */
export function isCaptionOptions(value: unknown): value is CaptionOptions {
  if (typeof value !== "object" || value === null) return false;
  const options = value as Record<keyof CaptionOptions, unknown>;
  return (
    TONES.some((chip) => chip.value === options.tone) &&
    LENGTHS.some((chip) => chip.value === options.length) &&
    EMOJI.some((chip) => chip.value === options.emoji) &&
    [options.language, options.location, options.hint].every(isShort) &&
    isBetween(options.hashtags, 1, MOST_HASHTAGS) &&
    isBetween(options.variants, 1, VARIANTS.length)
  );
}

/** Most characters of place, hint and language. */
export const MOST_SHORT = 100;

function isShort(value: unknown): boolean {
  return typeof value === "string" && value.length <= MOST_SHORT;
}

function isBetween(value: unknown, least: number, most: number): boolean {
  return Number.isInteger(value) && (value as number) >= least && (value as number) <= most;
}

/** What is set apart from the tone, in a few words, for the closed panel. */
export function summaryOf(options: CaptionOptions): string {
  const chosen = [
    LENGTHS.find((chip) => chip.value === options.length && chip.value)?.label,
    options.emoji && `${options.emoji} emoji`.replace("none", "no"),
    options.language,
    options.location,
    options.hint && `“${options.hint}”`,
    `${options.hashtags} hashtags`,
    options.variants > 1 && `${options.variants} captions`,
  ];
  return chosen.filter(Boolean).join(" · ");
}
