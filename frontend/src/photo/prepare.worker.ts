// Worker that prepares photos, so that the page stays responsive. Sent a file, it answers with an `Answer`.
import type { EncodedPhoto } from "./encode";
import { prepare } from "./prepare";
import { type ProblemReason, UnusablePhoto } from "./problems";

export type Answer = { photo: EncodedPhoto } | { reason: ProblemReason };

function answer(message: Answer): void {
  self.postMessage(message);
}

self.addEventListener("message", async ({ data }: MessageEvent<File>) => {
  try {
    answer({ photo: await prepare(data) });
  } catch (error) {
    answer({ reason: error instanceof UnusablePhoto ? error.reason : "failed" });
  }
});

// libheif decodes in a task of its own: where memory is short, it fails there.
self.addEventListener("unhandledrejection", () => answer({ reason: "failed" }));
