import { Camera, ImagePlus } from "lucide-react";
import { type ReactNode, useRef } from "react";
import { Button } from "@/ui/Button";

interface AddButtonsProps {
  /** Whether photos are there already. */
  more: boolean;
  add: (files: Iterable<File>) => void;
}

/** Buttons for gallery and camera. With `capture` alone, iPhones would offer no gallery. */
export function AddButtons({ more, add }: AddButtonsProps) {
  return (
    <div className="flex flex-wrap justify-center gap-3">
      <FileButton kind={more ? "secondary" : "primary"} multiple add={add}>
        <ImagePlus aria-hidden className="size-5" />
        {more ? "Add photos" : "Choose photos"}
      </FileButton>
      <FileButton kind="secondary" capture add={add}>
        <Camera aria-hidden className="size-5" />
        Take a photo
      </FileButton>
    </div>
  );
}

interface FileButtonProps {
  kind: "primary" | "secondary";
  multiple?: boolean;
  /** Ask for the camera. Shown on touch screens only: elsewhere, browsers ignore it. */
  capture?: boolean;
  add: (files: Iterable<File>) => void;
  children: ReactNode;
}

function FileButton({ kind, multiple = false, capture = false, add, children }: FileButtonProps) {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <Button
        kind={kind}
        className={capture ? "not-any-pointer-coarse:hidden" : ""}
        onClick={() => input.current?.click()}
      >
        {children}
      </Button>
      <input
        ref={input}
        type="file"
        hidden
        accept="image/*,.heic,.heif,.avif"
        multiple={multiple}
        capture={capture ? "environment" : undefined}
        onChange={(event) => {
          add([...(event.target.files ?? [])]);
          // The same file can be chosen once more.
          event.target.value = "";
        }}
      />
    </>
  );
}
