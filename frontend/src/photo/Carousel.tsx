import { ArrowLeft, ArrowRight, X } from "lucide-react";
import { useLayoutEffect, useRef, useState } from "react";
import { Button, IconButton } from "@/ui/Button";
import { PhotoStrip } from "./PhotoStrip";
import type { PreparedPhoto } from "./types";

interface CarouselProps {
  photos: readonly PreparedPhoto[];
  move: (id: string, by: number) => void;
  remove: (id: string) => void;
}

/** The photos of a post, to swipe through, reorder and remove. */
export function Carousel({ photos, move, remove }: CarouselProps) {
  const list = useRef<HTMLUListElement>(null);
  const moved = useRef<string>(null);
  const [scrolledTo, setScrolledTo] = useState(0);
  const [announcement, setAnnouncement] = useState("");
  const count = photos.length;
  const shown = Math.min(scrolledTo, count - 1);

  const show = (index: number, behavior: ScrollBehavior) => {
    list.current?.children[index]?.scrollIntoView({ behavior, inline: "center", block: "nearest" });
  };

  // The photo that was moved stays in view. At once: another press moves the photo that is shown.
  useLayoutEffect(() => {
    const index = photos.findIndex((photo) => photo.id === moved.current);
    if (index < 0) return;
    moved.current = null;
    show(index, "instant");
    setScrolledTo(index);
    setAnnouncement(`Moved to place ${index + 1} of ${photos.length}.`);
  });

  const reorder = (id: string, by: number) => {
    moved.current = id;
    move(id, by);
  };

  return (
    <div className="flex flex-col gap-3">
      <ul
        ref={list}
        aria-label="Your photos"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: scrolled with the arrow keys.
        tabIndex={0}
        onScroll={({ currentTarget: { scrollLeft, clientWidth } }) =>
          setScrolledTo(Math.round(scrollLeft / clientWidth))
        }
        className="flex items-center snap-x snap-mandatory overflow-x-auto rounded-3xl bg-sunken [scrollbar-width:none] motion-safe:scroll-smooth"
      >
        {photos.map((photo, index) => (
          <li key={photo.id} className="relative w-full shrink-0 snap-center">
            <img
              src={photo.url}
              alt={`${index + 1} of ${count}: ${photo.name}`}
              width={photo.width}
              height={photo.height}
              // Dragged, it would be added once more.
              draggable={false}
              className="h-auto max-h-[60dvh] w-full object-contain"
            />
            {count > 1 && (
              <p
                aria-hidden
                className="absolute start-3 top-3 flex min-h-11 items-center rounded-full bg-raised px-4 font-semibold"
              >
                {index + 1} / {count}
              </p>
            )}
            <IconButton
              label={`Remove photo ${index + 1}`}
              onClick={() => remove(photo.id)}
              className="absolute end-3 top-3 bg-raised"
            >
              <X aria-hidden />
            </IconButton>
          </li>
        ))}
      </ul>
      {count > 1 && (
        <>
          <PhotoStrip photos={photos} shown={shown} show={(index) => show(index, "auto")} move={reorder} />
          <div className="flex justify-between gap-2">
            <MoveButton by={-1} photos={photos} index={shown} move={reorder} />
            <MoveButton by={1} photos={photos} index={shown} move={reorder} />
          </div>
        </>
      )}
      <p role="status" className="sr-only">
        {announcement}
      </p>
    </div>
  );
}

interface MoveButtonProps {
  by: -1 | 1;
  photos: readonly PreparedPhoto[];
  index: number;
  move: (id: string, by: number) => void;
}

/** A button that moves the photo at *index*. It keeps the focus at an end, so it is not disabled there. */
function MoveButton({ by, photos, index, move }: MoveButtonProps) {
  const photo = photos[index];
  const atEnd = !photos[index + by];
  return (
    <Button
      kind="quiet"
      aria-disabled={atEnd}
      onClick={() => photo && !atEnd && move(photo.id, by)}
      className="aria-disabled:cursor-not-allowed aria-disabled:opacity-60"
    >
      {by < 0 && <ArrowLeft aria-hidden className="size-5" />}
      <span>
        Move {by < 0 ? "left" : "right"}
        <span className="sr-only">: photo {index + 1}</span>
      </span>
      {by > 0 && <ArrowRight aria-hidden className="size-5" />}
    </Button>
  );
}
