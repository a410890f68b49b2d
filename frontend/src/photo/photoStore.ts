// The photos of the post being made: their order, and what became of each file that was added.
import { Listeners } from "@/storage/listeners";
import type { EncodedPhoto } from "./encode";
import { detailOf, UnusablePhoto } from "./problems";
import type { PreparedPhoto } from "./types";

/** As many as Instagram's carousel from other apps, and the service, take. */
export const MAX_PHOTOS = 10;

export interface PhotoProblem {
  id: string;
  /** The file's name. */
  name: string;
  /** Why it can't be used and what to do, in plain words. */
  detail: string;
}

export interface PhotosState {
  photos: readonly PreparedPhoto[];
  /** How many are being prepared or wait for it. */
  preparing: number;
  problems: readonly PhotoProblem[];
}

/** Names shown of files that didn't fit in. */
const NAMES_SHOWN = 3;

export class PhotoStore {
  #state: PhotosState = { photos: [], preparing: 0, problems: [] };
  #listeners = new Listeners();
  readonly subscribe = this.#listeners.subscribe;

  /** @param prepare makes a file a photo, or throws UnusablePhoto. */
  constructor(readonly prepare: (file: File) => Promise<EncodedPhoto>) {}

  readonly get = (): PhotosState => this.#state;

  /** Prepare *files* and append them, in their order. Those that don't fit in or can't be used become problems. */
  readonly add = async (files: Iterable<File>): Promise<void> => {
    const all = [...files];
    const { photos, preparing } = this.#state;
    const places = MAX_PHOTOS - photos.length - preparing;
    const accepted = all.slice(0, Math.max(0, places));
    const leftOut = all.slice(accepted.length);
    this.#set({
      preparing: preparing + accepted.length,
      // Problems of earlier files are read by now.
      problems: leftOut.length > 0 ? [tooMany(leftOut)] : [],
    });
    await Promise.all(accepted.map((file) => this.#addOne(file)));
  };

  async #addOne(file: File): Promise<void> {
    let photo: EncodedPhoto;
    try {
      photo = await this.prepare(file);
    } catch (error) {
      const detail = detailOf(error instanceof UnusablePhoto ? error.reason : "failed");
      this.#set({
        preparing: this.#state.preparing - 1,
        problems: [...this.#state.problems, { id: newId(), name: file.name, detail }],
      });
      return;
    }
    const prepared = {
      ...photo,
      id: newId(),
      name: file.name,
      url: URL.createObjectURL(photo.jpeg),
    };
    this.#set({ preparing: this.#state.preparing - 1, photos: [...this.#state.photos, prepared] });
  }

  readonly remove = (id: string): void => {
    const { photos } = this.#state;
    for (const photo of photos) if (photo.id === id) URL.revokeObjectURL(photo.url);
    this.#set({ photos: photos.filter((photo) => photo.id !== id) });
  };

  /** Move a photo by *by* places, to the left if negative, at most to an end. */
  readonly move = (id: string, by: number): void => {
    const photos = [...this.#state.photos];
    const from = photos.findIndex((photo) => photo.id === id);
    const [photo] = from < 0 ? [] : photos.splice(from, 1);
    if (!photo) return;
    photos.splice(Math.max(0, from + by), 0, photo);
    this.#set({ photos });
  };

  readonly dismissProblem = (id: string): void => {
    this.#set({ problems: this.#state.problems.filter((problem) => problem.id !== id) });
  };

  #set(changed: Partial<PhotosState>): void {
    this.#state = { ...this.#state, ...changed };
    this.#listeners.notify();
  }
}

function tooMany(leftOut: readonly File[]): PhotoProblem {
  const names = leftOut.slice(0, NAMES_SHOWN).map((file) => file.name);
  const more = leftOut.length - names.length;
  return {
    id: newId(),
    name: names.join(", ") + (more > 0 ? ` and ${more} more` : ""),
    detail: `A post has at most ${MAX_PHOTOS} photos. Remove one first, then add another.`,
  };
}

let ids = 0;

// `crypto.randomUUID` is missing where the page is served by plain HTTP, as in a home network.
function newId(): string {
  ids += 1;
  return `photo-${ids}`;
}
