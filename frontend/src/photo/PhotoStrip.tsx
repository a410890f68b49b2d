import { type DragEvent, useState } from "react";
import type { PreparedPhoto } from "./types";

interface PhotoStripProps {
  photos: readonly PreparedPhoto[];
  /** Index of the photo that the carousel shows. */
  shown: number;
  show: (index: number) => void;
  move: (id: string, by: number) => void;
}

/** Small pictures to jump between photos, and to drag them into another order with a mouse. */
export function PhotoStrip({ photos, shown, show, move }: PhotoStripProps) {
  const [dragged, setDragged] = useState<string | null>(null);

  const drop = (event: DragEvent, index: number) => {
    if (dragged === null) return;
    event.preventDefault();
    move(dragged, index - photos.findIndex((photo) => photo.id === dragged));
    setDragged(null);
  };

  return (
    <ol aria-label="All photos" className="flex gap-2 overflow-x-auto p-1">
      {photos.map((photo, index) => (
        <li
          key={photo.id}
          draggable
          onDragStart={(event) => {
            event.dataTransfer.effectAllowed = "move";
            setDragged(photo.id);
          }}
          onDragEnd={() => setDragged(null)}
          onDragOver={(event) => dragged !== null && event.preventDefault()}
          onDrop={(event) => drop(event, index)}
          className={`shrink-0 ${dragged === photo.id ? "opacity-50" : ""}`}
        >
          <button
            type="button"
            aria-label={`Show photo ${index + 1}`}
            aria-current={index === shown}
            onClick={() => show(index)}
            className="block size-14 overflow-hidden rounded-xl border-2 border-transparent aria-[current=true]:border-accent-text"
          >
            <img src={photo.url} alt="" draggable={false} className="size-full object-cover" />
          </button>
        </li>
      ))}
    </ol>
  );
}
