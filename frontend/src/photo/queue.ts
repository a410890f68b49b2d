// Queue of photos to prepare: one at a time, since a decoded photo may take more memory than a phone has twice.
import type { EncodedPhoto } from "./encode";
import type { Answer } from "./prepare.worker";
import { UnusablePhoto } from "./problems";

let worker: Worker | undefined;
let waiting = 0;
let last: Promise<unknown> = Promise.resolve();

/**
 * Prepare *file* when those before it are done. Ended with the last of them, the worker gives its memory back.
 *
 * @throws UnusablePhoto with the reason.
 */
export function prepareInTurn(file: File): Promise<EncodedPhoto> {
  waiting += 1;
  const turn = last.then(() => prepareNow(file));
  last = turn
    .catch(() => undefined)
    .finally(() => {
      waiting -= 1;
      if (waiting === 0) endWorker();
    });
  return turn;
}

function endWorker(): void {
  worker?.terminate();
  worker = undefined;
}

async function prepareNow(file: File): Promise<EncodedPhoto> {
  worker ??= new Worker(new URL("./prepare.worker.ts", import.meta.url), { type: "module" });
  const answer = await askWorker(worker, file);
  if ("photo" in answer) return answer.photo;
  // What is left of its memory is uncertain, or there is none.
  if (answer.reason === "failed" || answer.reason === "worker_missing") endWorker();
  throw new UnusablePhoto(answer.reason);
}

function askWorker(asked: Worker, file: File): Promise<Answer> {
  return new Promise((resolve) => {
    asked.onmessage = ({ data }: MessageEvent<Answer>) => resolve(data);
    // Only an error while it runs, such as exhausted memory, comes with details (HTML Living Standard, 10.2.4).
    asked.onerror = (event) => resolve({ reason: event instanceof ErrorEvent ? "failed" : "worker_missing" });
    asked.postMessage(file);
  });
}
