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
  // What is left of its memory is uncertain.
  if (answer.reason === "failed") endWorker();
  throw new UnusablePhoto(answer.reason);
}

function askWorker(asked: Worker, file: File): Promise<Answer> {
  return new Promise((resolve) => {
    asked.onmessage = ({ data }: MessageEvent<Answer>) => resolve(data);
    // The script can't be loaded, or memory is exhausted.
    asked.onerror = () => resolve({ reason: "failed" });
    asked.postMessage(file);
  });
}
