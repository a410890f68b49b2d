/** Those who want to know of changes, as `useSyncExternalStore` subscribes them. */
export class Listeners {
  readonly #all = new Set<() => void>();

  /** Call *listener* after each change, until the function that is returned is called. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#all.add(listener);
    return () => this.#all.delete(listener);
  };

  notify(): void {
    for (const listener of this.#all) listener();
  }
}
