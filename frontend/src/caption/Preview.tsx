import { Bookmark, Heart, MessageCircle, Send } from "lucide-react";
import { Fragment, useState } from "react";
import type { PreparedPhoto } from "@/photo/types";
import { splitHashtags } from "./hashtags";
import { fold } from "./limits";

interface PreviewProps {
  photos: readonly PreparedPhoto[];
  altTexts: readonly string[];
  /** The text as it will be pasted. */
  text: string;
}

/** The post as Instagram shows it in the feed. */
export function Preview({ photos, altTexts, text }: PreviewProps) {
  return (
    <figure
      aria-label="Preview of the post on Instagram"
      className="max-w-md overflow-hidden rounded-2xl border border-line bg-raised"
    >
      <figcaption className="flex items-center gap-3 p-3 font-semibold">
        <span
          aria-hidden
          className="size-8 rounded-full border-2 border-raised bg-linear-to-tr from-accent to-accent-end outline-2 outline-accent"
        />
        your_name
      </figcaption>
      <Photos photos={photos} altTexts={altTexts} />
      <div aria-hidden className="flex gap-4 p-3">
        <Heart />
        <MessageCircle />
        <Send />
        <Bookmark className="ml-auto" />
      </div>
      <FoldedText text={text} />
    </figure>
  );
}

/** Instagram shows photos of a post in the shape of the first, from 3:4 to 1.91:1. */
function shapeOf(photo: PreparedPhoto | undefined): number {
  return photo ? Math.min(1.91, Math.max(3 / 4, photo.width / photo.height)) : 1;
}

function Photos({ photos, altTexts }: Omit<PreviewProps, "text">) {
  const [shown, setShown] = useState(0);
  return (
    <>
      {/* What scrolls must be reachable by the keyboard. */}
      <section
        aria-label="Photos of the post"
        tabIndex={photos.length > 1 ? 0 : undefined}
        onScroll={({ currentTarget: strip }) => setShown(Math.round(strip.scrollLeft / strip.clientWidth))}
        className="flex snap-x snap-mandatory overflow-x-auto bg-sunken [scrollbar-width:none]"
      >
        {photos.map((photo, index) => (
          <img
            key={photo.id}
            src={photo.url}
            alt={altTexts[index] ?? ""}
            style={{ aspectRatio: shapeOf(photos[0]) }}
            className="w-full shrink-0 snap-center object-cover"
          />
        ))}
      </section>
      {photos.length > 1 && (
        <div aria-hidden className="flex justify-center gap-1 pt-3">
          {photos.map((photo, index) => (
            <span
              key={photo.id}
              className={`size-1.5 rounded-full ${index === shown ? "bg-hashtag" : "bg-line"}`}
            />
          ))}
        </div>
      )}
    </>
  );
}

function FoldedText({ text }: { text: string }) {
  const [open, setOpen] = useState(false);
  const shown = open ? text : fold(text);
  return (
    <p dir="auto" className="px-3 pb-4 whitespace-pre-wrap wrap-anywhere">
      {/* <bdi>: the name doesn't decide in which direction the caption runs. */}
      <bdi className="font-semibold">your_name</bdi>{" "}
      {splitHashtags(shown).map((part, index) =>
        part.isHashtag ? (
          // biome-ignore lint/suspicious/noArrayIndexKey: parts of a text have no other identity.
          <span key={index} className="text-hashtag">
            {part.text}
          </span>
        ) : (
          // biome-ignore lint/suspicious/noArrayIndexKey: as above.
          <Fragment key={index}>{part.text}</Fragment>
        ),
      )}
      {shown !== text && (
        <>
          …{" "}
          <button type="button" onClick={() => setOpen(true)} className="-my-3 py-3 text-muted">
            more
          </button>
        </>
      )}
    </p>
  );
}
