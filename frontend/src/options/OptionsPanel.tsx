import { ChevronDown, RotateCcw } from "lucide-react";
import { useId } from "react";
import { usePreference } from "@/storage/preferences";
import { Button } from "@/ui/Button";
import { Chips } from "@/ui/Chips";
import { TextField } from "@/ui/Field";
import { EMOJI, LENGTHS, MOST_HASHTAGS, suggestedLanguages, TONES, VARIANTS } from "./choices";
import { DEFAULT_OPTIONS, MOST_SHORT, optionsPreference, summaryOf } from "./remembered";
import type { CaptionOptions } from "./types";

/** The options of the next caption. They are remembered between visits. */
export function OptionsPanel() {
  const [options, setOptions] = usePreference(optionsPreference);
  const change = (changes: Partial<CaptionOptions>) => setOptions({ ...options, ...changes });
  return (
    <section aria-label="Options" className="flex flex-col gap-5">
      <Chips legend="Tone" chips={TONES} value={options.tone} onChange={(tone) => change({ tone })} />
      <details className="group rounded-3xl border border-line bg-raised">
        <summary className="flex min-h-14 list-none items-center gap-3 px-5 [&::-webkit-details-marker]:hidden">
          <span className="font-semibold">More options</span>
          <span className="min-w-0 flex-1 truncate text-sm text-muted" dir="auto">
            {summaryOf(options)}
          </span>
          <ChevronDown aria-hidden className="shrink-0 transition group-open:rotate-180" />
        </summary>
        <div className="flex flex-col gap-5 px-5 pb-5">
          <Chips
            legend="Length"
            chips={LENGTHS}
            value={options.length}
            onChange={(length) => change({ length })}
          />
          <Chips legend="Emoji" chips={EMOJI} value={options.emoji} onChange={(emoji) => change({ emoji })} />
          <LanguageField value={options.language} onChange={(language) => change({ language })} />
          <TextField
            label="Place"
            note="It goes into the caption and the hashtags."
            placeholder="Pier 39, San Francisco"
            maxLength={MOST_SHORT}
            value={options.location}
            onChange={(event) => change({ location: event.target.value })}
          />
          <TextField
            label="Hint"
            note="What to mention."
            placeholder="our first day here"
            maxLength={MOST_SHORT}
            value={options.hint}
            onChange={(event) => change({ hint: event.target.value })}
          />
          <HashtagSlider value={options.hashtags} onChange={(hashtags) => change({ hashtags })} />
          <Chips
            legend="Captions to choose from"
            chips={VARIANTS}
            value={String(options.variants)}
            onChange={(variants) => change({ variants: Number(variants) })}
          />
          <Button kind="quiet" className="self-start" onClick={() => setOptions(DEFAULT_OPTIONS)}>
            <RotateCcw aria-hidden className="size-5" />
            Reset options
          </Button>
        </div>
      </details>
    </section>
  );
}

function LanguageField({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  const listId = useId();
  return (
    <>
      <TextField
        label="Language"
        note="Empty: the model's own. Type any language's name."
        placeholder="English"
        list={listId}
        maxLength={MOST_SHORT}
        value={value}
        onChange={(event) => onChange(event.target.value)}
      />
      <datalist id={listId}>
        {suggestedLanguages().map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
    </>
  );
}

function HashtagSlider({ value, onChange }: { value: number; onChange: (value: number) => void }) {
  const id = useId();
  return (
    <div>
      <label htmlFor={id} className="mb-2 flex justify-between font-semibold">
        Hashtags <output htmlFor={id}>{value}</output>
      </label>
      <input
        id={id}
        type="range"
        min={1}
        max={MOST_HASHTAGS}
        value={value}
        onChange={(event) => onChange(Number(event.target.value))}
        className="h-11 w-full accent-accent"
      />
      <p className="text-sm text-muted">Instagram takes five. The others are suggestions to swap in.</p>
    </div>
  );
}
