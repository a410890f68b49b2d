// Events of a streamed caption, read from the bytes of a response.
import { EventSourceParserStream } from "eventsource-parser/stream";
import { ServiceProblem } from "./problems";
import type { components, operations } from "./schema";

type Answer = components["schemas"]["CaptionAnswer"];
type EventName = operations["v1_generate-caption"]["responses"][200]["content"]["text/event-stream"]["event"];

export type StreamEvent =
  /** More text of a variant. */
  | { type: "token"; variant: number; text: string }
  /** The whole text of a variant, in place of what came before. Empty: there is no such variant. */
  | { type: "replace"; variant: number; text: string }
  | { type: "answer"; answer: Answer };

/**
 * Read the events of a stream up to its answer.
 *
 * @throws ServiceProblem for an `error` event, and with the reason `interrupted` if the stream ends without an answer.
 */
export async function* readEvents(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<StreamEvent> {
  const reader = body
    .pipeThrough(new TextDecoderStream())
    .pipeThrough(new EventSourceParserStream())
    .getReader();
  try {
    for (;;) {
      const { value } = await reader.read().catch((error: unknown) => {
        throw error instanceof DOMException && error.name === "AbortError" ? error : interrupted();
      });
      if (!value) throw interrupted();
      const event = parse(value.event, value.data);
      if (event) yield event;
      if (event?.type === "answer") return;
    }
  } finally {
    // Stops the download of what nobody reads; there is nothing to stop if the connection is broken.
    reader.cancel().catch(() => undefined);
  }
}

/** The event of a message; null for a kind that this page doesn't know yet. */
function parse(name: string | undefined, data: string): StreamEvent | null {
  switch (name as EventName | undefined) {
    case "token":
    case "replace": {
      const { variant, text } = JSON.parse(data) as { variant: number; text: string };
      return { type: name as "token" | "replace", variant, text };
    }
    case "answer":
      return { type: "answer", answer: JSON.parse(data) as Answer };
    case "error": {
      const problem = JSON.parse(data) as components["schemas"]["ProblemBody"];
      throw new ServiceProblem(problem.status, problem.reason, problem.detail);
    }
    default:
      return null;
  }
}

function interrupted(): ServiceProblem {
  const detail = "The connection broke before your caption was complete. Try again to get all of it.";
  return new ServiceProblem(0, "interrupted", detail);
}
