import { type ComponentProps, type ReactNode, useId } from "react";

const LOOK = "w-full rounded-2xl border border-line bg-raised px-4 text-ink placeholder:text-muted";

interface Labeled {
  label: string;
  /** One sentence below the field. */
  note?: string | undefined;
}

/** A labeled line of text. */
export function TextField({ label, note, className = "", ...rest }: Labeled & ComponentProps<"input">) {
  return (
    <Field label={label} note={note}>
      {(ids) => <input {...ids} dir="auto" className={`min-h-11 ${LOOK} ${className}`} {...rest} />}
    </Field>
  );
}

/** A labeled text of several lines. */
export function TextArea({ label, note, className = "", ...rest }: Labeled & ComponentProps<"textarea">) {
  return (
    <Field label={label} note={note}>
      {(ids) => <textarea {...ids} dir="auto" className={`min-h-28 py-3 ${LOOK} ${className}`} {...rest} />}
    </Field>
  );
}

interface FieldProps extends Labeled {
  /** The control, with the attributes that connect it to its label and its note. */
  children: (ids: { id: string; "aria-describedby": string | undefined }) => ReactNode;
}

function Field({ label, note, children }: FieldProps) {
  const id = useId();
  const noteId = useId();
  return (
    <div>
      <label htmlFor={id} className="mb-2 block font-semibold">
        {label}
      </label>
      {children({ id, "aria-describedby": note ? noteId : undefined })}
      {note && (
        <p id={noteId} className="mt-1 text-sm text-muted">
          {note}
        </p>
      )}
    </div>
  );
}
