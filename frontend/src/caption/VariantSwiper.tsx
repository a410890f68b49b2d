import { type ReactNode, useEffect, useEffectEvent, useRef } from "react";
import { Chips } from "@/ui/Chips";

interface VariantSwiperProps {
  count: number;
  selected: number;
  onSelect: (variant: number) => void;
  children: (variant: number) => ReactNode;
}

/** Variants side by side: swiped by touch, chosen by number with a mouse or the keyboard. */
export function VariantSwiper({ count, selected, onSelect, children }: VariantSwiperProps) {
  const strip = useRef<HTMLDivElement>(null);
  const swipedTo = useRef<number | null>(null);

  const onSwipe = useEffectEvent((variant: number) => {
    if (variant === selected) return;
    swipedTo.current = variant;
    onSelect(variant);
  });
  useEffect(() => {
    const root = strip.current;
    if (!root) return;
    const observer = new IntersectionObserver(
      (entries) => {
        const inView = entries.find((entry) => entry.isIntersecting);
        if (inView) onSwipe([...root.children].indexOf(inView.target));
      },
      { root, threshold: 0.6 },
    );
    for (const panel of root.children) observer.observe(panel);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    const root = strip.current;
    // While a finger moves the strip, the script must not. A smooth scroll would pass variants, and select them.
    if (root && swipedTo.current !== selected) {
      root.scrollTo({ left: selected * root.clientWidth, behavior: "instant" });
    }
    swipedTo.current = null;
  }, [selected]);

  const numbers = Array.from({ length: count }, (_, index) => index);
  return (
    <div className="flex flex-col gap-3">
      {count > 1 && (
        <Chips
          legend={`${count} captions to choose from`}
          chips={numbers.map((number) => ({ value: `${number}`, label: `${number + 1}` }))}
          value={`${selected}`}
          onChange={(value) => onSelect(Number(value))}
        />
      )}
      {/* The margin makes room for the outline of a field in focus, which the strip would cut off. */}
      <div
        ref={strip}
        className="-m-1.5 flex snap-x snap-mandatory items-start overflow-x-auto overscroll-x-contain [scrollbar-width:none]"
      >
        {numbers.map((number) => (
          <div
            key={number}
            className="w-full shrink-0 snap-center snap-always p-1.5"
            inert={number !== selected}
          >
            {children(number)}
          </div>
        ))}
      </div>
    </div>
  );
}
