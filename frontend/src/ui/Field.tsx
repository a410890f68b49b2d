import { type ComponentProps, useId } from "react";

const LOOK = "w-full rounded-2xl border border-line bg-raised px-4 text-ink placeholder:text-muted";

interface Labeled {
  label: string;
  /** One sentence below the field. */
  note?: string;
}

/** A labeled line of text. */
export function TextField({ label, note, className = "", ...rest }: Labeled & ComponentProps<"input">) {
  const id = useId();
  const noteId = useId();
  return (
    <div>
      <label htmlFor={id} className="mb-2 block font-semibold">
        {label}
      </label>
      <input
        id={id}
        dir="auto"
        aria-describedby={note ? noteId : undefined}
        className={`min-h-11 ${LOOK} ${className}`}
        {...rest}
      />
      {note && (
        <p id={noteId} className="mt-1 text-sm text-muted">
          {note}
        </p>
      )}
    </div>
  );
}

/** A labeled text of several lines. */
export function TextArea({ label, note, className = "", ...rest }: Labeled & ComponentProps<"textarea">) {
  const id = useId();
  const noteId = useId();
  return (
    <div>
      <label htmlFor={id} className="mb-2 block font-semibold">
        {label}
      </label>
      <textarea
        id={id}
        dir="auto"
        aria-describedby={note ? noteId : undefined}
        className={`min-h-28 py-3 ${LOOK} ${className}`}
        {...rest}
      />
      {note && (
        <p id={noteId} className="mt-1 text-sm text-muted">
          {note}
        </p>
      )}
    </div>
  );
}
