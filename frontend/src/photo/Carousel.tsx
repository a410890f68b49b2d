import { ArrowLeft, ArrowRight, X } from "lucide-react";
import { useLayoutEffect, useRef, useState } from "react";
import { IconButton } from "@/ui/Button";
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
  const [shown, setShown] = useState(0);
  const [announcement, setAnnouncement] = useState("");
  const justMoved = useRef<{ id: string; by: number } | null>(null);

  const show = (index: number) => {
    list.current?.children[index]?.scrollIntoView({ inline: "center", block: "nearest" });
  };

  // The browser drops the focus and the scroll position of an element that is moved.
  useLayoutEffect(() => {
    const index = photos.findIndex((photo) => photo.id === justMoved.current?.id);
    if (!justMoved.current || index < 0) return;
    const { by } = justMoved.current;
    justMoved.current = null;
    setAnnouncement(`Moved to place ${index + 1} of ${photos.length}.`);
    const slide = list.current?.children[index];
    slide?.scrollIntoView({ inline: "center", block: "nearest" });
    // At an end, the button that was pressed is disabled.
    const buttons = [by, -by].map((by) => slide?.querySelector<HTMLElement>(`[data-by="${by}"]:enabled`));
    buttons.find(Boolean)?.focus({ preventScroll: true });
  }, [photos]);

  const reorder = (id: string, by: number) => {
    justMoved.current = { id, by };
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
          setShown(Math.round(scrollLeft / clientWidth))
        }
        className="flex snap-x snap-mandatory overflow-x-auto rounded-3xl bg-sunken [scrollbar-width:none] motion-safe:scroll-smooth"
      >
        {photos.map((photo, index) => (
          <li key={photo.id} className="relative w-full shrink-0 snap-center">
            <img
              src={photo.url}
              alt={`${index + 1} of ${photos.length}: ${photo.name}`}
              width={photo.width}
              height={photo.height}
              // Dragged, it would be added once more.
              draggable={false}
              className="aspect-4/5 max-h-[60dvh] w-full object-contain"
            />
            <IconButton
              label={`Remove photo ${index + 1}`}
              onClick={() => remove(photo.id)}
              className="absolute end-3 top-3 bg-raised"
            >
              <X aria-hidden />
            </IconButton>
            {photos.length > 1 && (
              <>
                <p
                  aria-hidden
                  className="absolute start-3 top-3 flex min-h-11 items-center rounded-full bg-raised px-4 font-semibold"
                >
                  {index + 1} / {photos.length}
                </p>
                <IconButton
                  label={`Move photo ${index + 1} left`}
                  data-by={-1}
                  disabled={index === 0}
                  onClick={() => reorder(photo.id, -1)}
                  className="absolute bottom-3 left-3 bg-raised"
                >
                  <ArrowLeft aria-hidden />
                </IconButton>
                <IconButton
                  label={`Move photo ${index + 1} right`}
                  data-by={1}
                  disabled={index === photos.length - 1}
                  onClick={() => reorder(photo.id, 1)}
                  className="absolute right-3 bottom-3 bg-raised"
                >
                  <ArrowRight aria-hidden />
                </IconButton>
              </>
            )}
          </li>
        ))}
      </ul>
      {photos.length > 1 && (
        <PhotoStrip photos={photos} shown={Math.min(shown, photos.length - 1)} show={show} move={move} />
      )}
      <p role="status" className="sr-only">
        {announcement}
      </p>
    </div>
  );
}
