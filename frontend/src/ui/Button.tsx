import type { ButtonHTMLAttributes } from "react";

const KINDS = {
  primary: "bg-linear-to-r from-accent to-accent-end text-on-accent hover:brightness-110",
  secondary: "border border-line bg-raised text-ink hover:bg-sunken",
  quiet: "text-accent-text hover:bg-accent-soft",
  danger: "border border-line bg-raised text-danger hover:bg-danger-soft",
} as const;

interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  kind?: keyof typeof KINDS;
}

export function Button({ kind = "secondary", className = "", type = "button", ...rest }: ButtonProps) {
  return (
    <button
      type={type}
      className={`inline-flex min-h-11 items-center justify-center gap-2 rounded-full px-5 font-semibold transition disabled:cursor-not-allowed disabled:opacity-60 aria-disabled:cursor-not-allowed aria-disabled:opacity-60 ${KINDS[kind]} ${className}`}
      {...rest}
    />
  );
}

interface IconButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  /** What the button does, for screen readers and as a tooltip. */
  label: string;
}

/** A round button that shows an icon only. */
export function IconButton({ label, className = "", type = "button", ...rest }: IconButtonProps) {
  return (
    <button
      type={type}
      aria-label={label}
      title={label}
      className={`inline-flex size-11 shrink-0 items-center justify-center rounded-full text-ink transition hover:bg-sunken disabled:cursor-not-allowed disabled:opacity-40 ${className}`}
      {...rest}
    />
  );
}
