import { Star } from "lucide-react";
import { useId } from "react";

const RATINGS = [1, 2, 3, 4, 5] as const;

interface StarsProps {
  value: number | null;
  onChange: (rating: number) => void;
}

/** A rating from 1 to 5: radio buttons that look like stars. */
export function Stars({ value, onChange }: StarsProps) {
  const name = useId();
  return (
    <fieldset>
      <legend className="font-semibold">How good is this caption?</legend>
      <div className="-ms-2 flex">
        {RATINGS.map((rating) => (
          <label
            key={rating}
            className="relative flex size-11 items-center justify-center rounded-full text-accent-text transition hover:bg-accent-soft"
          >
            <input
              type="radio"
              // It covers its star, so that a finger that explores the screen finds it.
              className="absolute inset-0 appearance-none rounded-full"
              name={name}
              value={rating}
              checked={rating === value}
              onChange={() => onChange(rating)}
            />
            <span className="sr-only">{rating === 1 ? "1 star" : `${rating} stars`}</span>
            <Star aria-hidden className={rating <= (value ?? 0) ? "fill-current" : ""} />
          </label>
        ))}
      </div>
    </fieldset>
  );
}
