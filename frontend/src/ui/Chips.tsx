import { useId } from "react";

export interface Chip<T extends string> {
  value: T;
  label: string;
  /** An example or a short explanation. */
  note?: string;
}

interface ChipsProps<T extends string> {
  legend: string;
  chips: readonly Chip<T>[];
  value: T;
  onChange: (value: T) => void;
}

/** A choice of one: radio buttons that look like chips. */
export function Chips<T extends string>({ legend, chips, value, onChange }: ChipsProps<T>) {
  const name = useId();
  return (
    <fieldset>
      <legend className="mb-2 font-semibold">{legend}</legend>
      <div className="flex flex-wrap gap-2">
        {chips.map((chip) => (
          <label
            key={chip.value}
            className="relative flex min-h-11 flex-col justify-center rounded-2xl border border-line bg-raised px-4 py-1.5 transition hover:bg-sunken has-checked:border-accent-text has-checked:bg-accent-soft has-focus-visible:outline-3 has-focus-visible:outline-offset-2 has-focus-visible:outline-accent-text"
          >
            <input
              type="radio"
              // It covers its chip, so that a finger that explores the screen finds it.
              className="absolute inset-0 appearance-none rounded-2xl outline-none"
              name={name}
              value={chip.value}
              checked={chip.value === value}
              onChange={() => onChange(chip.value)}
            />
            <span className="font-medium">{chip.label}</span>
            {chip.note && <span className="text-sm text-muted">{chip.note}</span>}
          </label>
        ))}
      </div>
    </fieldset>
  );
}
