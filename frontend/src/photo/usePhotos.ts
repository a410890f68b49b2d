import { useSyncExternalStore } from "react";
import { PhotoStore, type PhotosState } from "./photoStore";
import { prepareInTurn } from "./queue";

// Outside of the component, so that the photos survive when the page asks for a key.
const store = new PhotoStore(prepareInTurn);
const { add, remove, move, dismissProblem } = store;

export type Photos = PhotosState & Pick<PhotoStore, "add" | "remove" | "move" | "dismissProblem">;

/** The photos of the post being made, and what can be done with them. */
export function usePhotos(): Photos {
  return { ...useSyncExternalStore(store.subscribe, store.get), add, remove, move, dismissProblem };
}
