// A text area that is as high as its text. A hidden copy of the text gives the grid its height, without a script.
import type { TextareaHTMLAttributes } from "react";

const LOOK = "col-start-1 row-start-1 w-full px-4 py-3 leading-relaxed whitespace-pre-wrap wrap-anywhere";

interface GrowingTextAreaProps extends TextareaHTMLAttributes<HTMLTextAreaElement> {
  label: string;
  value: string;
}

export function GrowingTextArea({ label, value, className = "", ...rest }: GrowingTextAreaProps) {
  return (
    <div className="grid">
      {/* The space at the end gives the line after a line break its height. */}
      <div aria-hidden dir="auto" className={`invisible border ${LOOK} ${className}`}>
        {`${value} `}
      </div>
      <textarea
        aria-label={label}
        dir="auto"
        rows={1}
        value={value}
        className={`resize-none overflow-hidden rounded-2xl border border-line bg-raised text-ink ${LOOK} ${className}`}
        {...rest}
      />
    </div>
  );
}
