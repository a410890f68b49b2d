// Mutual exclusion between tabs (Web Locks).
const NAME = "snap2caption.feedback";
let last: Promise<unknown> = Promise.resolve();

/**
 * Run *task* while no other task runs here or in another tab.
 *
 * Pages without HTTPS lack Web Locks. There, tasks of one tab take turns, and Idempotency-Key keeps what two tabs
 * send from being accepted twice.
 */
export function exclusively<T>(task: () => Promise<T>): Promise<T> {
  if (globalThis.navigator?.locks) return navigator.locks.request(NAME, task) as Promise<T>;
  const turn = last.then(task, task);
  last = turn.catch(() => undefined);
  return turn;
}
