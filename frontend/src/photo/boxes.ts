// Boxes of HEIF files (ISO/IEC 14496-12 and 23008-12): HEIC and AVIF.

interface Box {
  type: string;
  /** What follows the box's header. */
  content: DataView;
}

/** Item properties that hold for pictures of the file, such as their sizes (`ispe`) and color spaces (`colr`). */
export function* itemProperties(file: Uint8Array): Generator<Box> {
  const meta = find(boxesIn(viewOf(file)), "meta");
  // A "full" box has a version and flags before its content.
  const iprp = meta && meta.byteLength >= 4 && find(boxesIn(within(meta, 4, meta.byteLength)), "iprp");
  const ipco = iprp && find(boxesIn(iprp), "ipco");
  if (ipco) yield* boxesIn(ipco);
}

/** The boxes of *view*, up to the first whose size makes no sense. A box that is cut off ends with the view. */
function* boxesIn(view: DataView): Generator<Box> {
  let offset = 0;
  while (offset + 8 <= view.byteLength) {
    let header = 8;
    let size = view.getUint32(offset);
    if (size === 1 && offset + 16 <= view.byteLength) {
      header = 16;
      size = Number(view.getBigUint64(offset + 8));
    }
    if (size === 0) size = view.byteLength - offset;
    if (size < header) return;
    const end = Math.min(offset + size, view.byteLength);
    const type = String.fromCharCode(...new Uint8Array(view.buffer, view.byteOffset + offset + 4, 4));
    yield { type, content: within(view, offset + header, end) };
    offset += size;
  }
}

function find(boxes: Iterable<Box>, type: string): DataView | undefined {
  for (const box of boxes) if (box.type === type) return box.content;
  return undefined;
}

function within(view: DataView, start: number, end: number): DataView {
  return new DataView(view.buffer, view.byteOffset + start, end - start);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
