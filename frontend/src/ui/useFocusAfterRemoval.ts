import { type RefObject, useEffect, useRef } from "react";

/**
 * Move the focus to *list* when the item that had it was removed, so that the keyboard and screen readers go on there.
 *
 * @param count the number of items.
 */
export function useFocusAfterRemoval(list: RefObject<HTMLElement | null>, count: number): void {
  const before = useRef(count);
  useEffect(() => {
    if (count < before.current && document.activeElement === document.body) {
      list.current?.focus({ preventScroll: true });
    }
    before.current = count;
  }, [list, count]);
}
