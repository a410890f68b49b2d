import { ImagePlus, LoaderCircle, X } from "lucide-react";
import { useRef } from "react";
import { IconButton } from "@/ui/Button";
import { Message } from "@/ui/Message";
import { AddButtons } from "./AddButtons";
import { Carousel } from "./Carousel";
import { MAX_PHOTOS } from "./photoStore";
import { useDropAndPaste } from "./useDropAndPaste";
import type { Photos } from "./usePhotos";

/** Where photos are chosen, taken, dropped or pasted, looked at, and put in order. */
export function PhotoPicker({ photos, preparing, problems, add, move, remove, dismissProblem }: Photos) {
  const section = useRef<HTMLElement>(null);
  const dragging = useDropAndPaste(section, add);
  const isEmpty = photos.length === 0;

  const removeAndKeepFocus = (id: string) => {
    remove(id);
    section.current?.focus();
  };

  return (
    <section ref={section} tabIndex={-1} aria-label="Photos" className="flex flex-col gap-4 outline-none">
      {isEmpty ? (
        <div
          className={`flex min-h-72 flex-col items-center justify-center gap-5 rounded-3xl border-2 border-dashed p-6 text-center transition ${dragging ? "border-accent-text bg-accent-soft" : "bg-sunken"}`}
        >
          <ImagePlus aria-hidden className="size-12 text-accent-text" strokeWidth={1.5} />
          <p className="text-lg font-semibold">
            <span className="any-pointer-fine:hidden">Start with a photo</span>
            <span className="not-any-pointer-fine:hidden">Drop your photos here, or paste them</span>
          </p>
          <AddButtons more={false} add={add} />
          <p className="text-sm text-muted">
            Up to {MAX_PHOTOS}. They are made smaller here, and where they were taken is removed before they
            leave this device.
          </p>
        </div>
      ) : (
        <>
          <Carousel photos={photos} move={move} remove={removeAndKeepFocus} />
          {photos.length + preparing < MAX_PHOTOS && <AddButtons more add={add} />}
        </>
      )}
      <p role="status" className="flex items-center justify-center gap-2 text-muted empty:hidden">
        {preparing > 0 && (
          <>
            <LoaderCircle aria-hidden className="size-5 motion-safe:animate-spin" />
            {preparing === 1 ? "Preparing your photo…" : `Preparing ${preparing} photos…`}
          </>
        )}
      </p>
      {problems.map(({ id, name, detail }) => (
        <Message key={id} kind="problem">
          <div className="flex items-start justify-between gap-2">
            <p className="min-w-0 py-2.5">
              <strong className="break-words" dir="auto">
                {name}
              </strong>{" "}
              {detail}
            </p>
            <IconButton label={`Dismiss: ${name}`} onClick={() => dismissProblem(id)}>
              <X aria-hidden />
            </IconButton>
          </div>
        </Message>
      ))}
      {dragging && !isEmpty && (
        <div className="pointer-events-none fixed inset-0 z-20 flex items-center justify-center bg-surface/80 text-2xl font-bold">
          Drop to add your photos
        </div>
      )}
    </section>
  );
}
