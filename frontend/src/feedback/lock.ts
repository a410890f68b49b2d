// Mutual exclusion between tabs (Web Locks).
const NAME = "snap2caption.feedback";
let last: Promise<unknown> = Promise.resolve();

/**
 * Run *task* while no other task runs here or in another tab.
 *
 * Pages without HTTPS lack Web Locks. There, tasks of one tab take turns, and Idempotency-Key keeps what two tabs
 * send from being accepted twice.
 */
export async function exclusively<T>(task: () => Promise<T>): Promise<T> {
  const locks = globalThis.navigator?.locks;
  if (!locks) return inTurn(task);
  let isGranted = false;
  try {
    return await locks.request(NAME, () => {
      isGranted = true;
      return task();
    });
  } catch (error) {
    // A browser that refuses storage refuses locks too.
    if (isGranted) throw error;
    return inTurn(task);
  }
}

function inTurn<T>(task: () => Promise<T>): Promise<T> {
  const turn = last.then(task, task);
  last = turn.catch(() => undefined);
  return turn;
}
