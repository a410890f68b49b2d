interface CounterProps {
  value: number;
  most: number;
  /** What is counted, such as "in all". */
  label: string;
  /** Beyond *most*, Instagram refuses the post. Otherwise it only shows less of it. */
  strict?: boolean;
}

/** "131 / 125 before “more”": a count and its limit. */
export function Counter({ value, most, label, strict = false }: CounterProps) {
  const color = value <= most ? "text-muted" : strict ? "text-danger font-semibold" : "text-notice";
  return (
    <span className={`text-sm tabular-nums ${color}`}>
      {value.toLocaleString("en-US")} / {most.toLocaleString("en-US")} {label}
    </span>
  );
}
