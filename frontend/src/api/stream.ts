// Captions as they are written. EventSource can't send photos, so this is a POST whose response is read piece by piece.
import { authorization, SERVICE } from "./client";
import { readEvents, type StreamEvent } from "./events";
import { problemOf, unreachable } from "./problems";
import { noteRefusedKey } from "./refusedKey";

/**
 * Ask for a caption, and yield its text as it is written, then the answer.
 *
 * @param form the photos and options of `POST /v1/generate-caption`.
 * @throws ServiceProblem if the service refuses, can't be reached, or fails on the way.
 * @throws DOMException (AbortError) after *signal* was aborted.
 */
export async function* streamCaption(form: FormData, signal: AbortSignal): AsyncGenerator<StreamEvent> {
  form.set("stream", "true");
  const response = await fetch(new URL("v1/generate-caption", SERVICE), {
    method: "POST",
    body: form,
    headers: authorization(),
    signal,
  }).catch((error: unknown) => {
    throw signal.aborted ? error : unreachable();
  });
  noteRefusedKey(response);
  const isStream = response.headers.get("Content-Type")?.startsWith("text/event-stream");
  // A proxy or a hotel's login page may answer in the service's place, also with 200.
  if (!response.ok || !isStream || !response.body) {
    throw problemOf(response, await response.json().catch(() => null));
  }
  yield* readEvents(response.body);
}
