import { Copy as CopyIcon } from "lucide-react";
import { Button } from "@/ui/Button";
import { Counter } from "./Counter";
import { GrowingTextArea } from "./GrowingTextArea";
import { countCharacters, MOST_ALT_TEXT } from "./limits";
import type { AltText } from "./post";

interface AltTextsProps {
  /** One for each photo; null: it was added later, and has none. */
  texts: readonly (AltText | null)[];
  onEdit: (photo: number, text: string) => void;
  onCopy: (text: string) => void;
}

/** What people who can't see the photos are told, one text for each photo. */
export function AltTexts({ texts, onEdit, onCopy }: AltTextsProps) {
  if (texts.every((alt) => alt === null)) return null;
  return (
    <section aria-label="Alt text" className="flex flex-col gap-3">
      <div>
        <h3 className="text-lg font-bold">Alt text</h3>
        <p className="text-sm text-muted">
          For people who can’t see your photo. Instagram asks for it separately.
        </p>
      </div>
      {texts.map((alt, index) => {
        if (alt === null) return null;
        const { photo, text } = alt;
        const name = texts.length === 1 ? "Alt text" : `Alt text of photo ${index + 1}`;
        return (
          <div key={photo} className="flex flex-col gap-2">
            <GrowingTextArea
              label={name}
              value={text}
              onChange={(event) => onEdit(photo, event.target.value)}
            />
            <div className="flex flex-wrap items-center justify-between gap-2">
              <Button onClick={() => onCopy(text)}>
                <CopyIcon aria-hidden className="size-5" />
                Copy {name.toLowerCase()}
              </Button>
              <Counter value={countCharacters(text)} most={MOST_ALT_TEXT} label="characters" strict />
            </div>
          </div>
        );
      })}
    </section>
  );
}
