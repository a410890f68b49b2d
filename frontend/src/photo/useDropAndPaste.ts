// Photos that are dropped or pasted anywhere on the page.
import { type RefObject, useEffect, useState } from "react";

/**
 * Hand files to *add* that are dropped or pasted while *area* is visible.
 *
 * Returns whether files are being dragged over the page.
 */
export function useDropAndPaste(
  area: RefObject<HTMLElement | null>,
  add: (files: Iterable<File>) => void,
): boolean {
  const [dragging, setDragging] = useState(false);
  useEffect(() => {
    const isVisible = () => area.current?.checkVisibility() ?? false;

    const onDrag = (event: DragEvent) => {
      if (event.defaultPrevented || isForField(event)) return;
      // Without this, the browser leaves the page and opens the file or the link.
      event.preventDefault();
      const accepts = hasFiles(event) && isVisible();
      if (event.dataTransfer) event.dataTransfer.dropEffect = accepts ? "copy" : "none";
      setDragging(accepts);
    };
    const onDragLeave = (event: DragEvent) => {
      // No element is entered instead: the files have left the window.
      if (!event.relatedTarget) setDragging(false);
    };
    const onDrop = (event: DragEvent) => {
      setDragging(false);
      if (event.defaultPrevented || isForField(event)) return;
      event.preventDefault();
      if (isVisible()) add(event.dataTransfer?.files ?? []);
    };
    const onPaste = (event: ClipboardEvent) => {
      const files = [...(event.clipboardData?.files ?? [])];
      if (files.length === 0 || !isVisible() || isTextForField(event)) return;
      event.preventDefault();
      add(files);
    };

    const listeners = new AbortController();
    const { signal } = listeners;
    window.addEventListener("dragenter", onDrag, { signal });
    window.addEventListener("dragover", onDrag, { signal });
    window.addEventListener("dragleave", onDragLeave, { signal });
    window.addEventListener("drop", onDrop, { signal });
    window.addEventListener("paste", onPaste, { signal });
    return () => listeners.abort();
  }, [area, add]);
  return dragging;
}

function hasFiles(event: DragEvent): boolean {
  return event.dataTransfer?.types.includes("Files") ?? false;
}

/** A drag of text that a field takes. */
function isForField(event: DragEvent): boolean {
  return isField(event.target) && !hasFiles(event);
}

/** Office programs copy text together with a picture of it. In a field, the text is what is meant. */
function isTextForField(event: ClipboardEvent): boolean {
  return isField(event.target) && (event.clipboardData?.types.includes("text/plain") ?? false);
}

function isField(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches("input, textarea, [contenteditable]");
}
