import { describe, expect, it } from "vitest";
import { readEvents, type StreamEvent } from "./events";

const ANSWER = 'event: answer\ndata: {"caption":"Küste 🌊"}\n\n';

/** A body whose bytes come in pieces of *size*, and that breaks at its end if *broken*. */
function bodyOf(text: string, { size = 1, broken = false } = {}): ReadableStream<Uint8Array<ArrayBuffer>> {
  const bytes = new TextEncoder().encode(text);
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at < bytes.length) {
        controller.enqueue(bytes.slice(at, at + size));
        at += size;
      } else if (broken) controller.error(new TypeError("network error"));
      else controller.close();
    },
  });
}

async function read(body: ReadableStream<Uint8Array<ArrayBuffer>>) {
  const events: StreamEvent[] = [];
  const problem: unknown = await (async () => {
    for await (const event of readEvents(body)) events.push(event);
  })().catch((error: unknown) => error);
  return { events, problem };
}

describe("readEvents", () => {
  it.each([1, 3, 1000])("reads events from pieces of %d bytes", async (size) => {
    const text = `event: token\ndata: {"variant":0,"text":"Küste 🌊"}\n\nevent: replace\r\ndata: {"variant":1,"text":""}\r\n\r\n${ANSWER}`;
    expect(await read(bodyOf(text, { size }))).toEqual({
      events: [
        { type: "token", variant: 0, text: "Küste 🌊" },
        { type: "replace", variant: 1, text: "" },
        { type: "answer", answer: { caption: "Küste 🌊" } },
      ],
      problem: undefined,
    });
  });

  it("ignores comments and events of an unknown kind", async () => {
    const { events } = await read(bodyOf(`: still here\n\nevent: pause\ndata: 1\n\n${ANSWER}`));
    expect(events.map((event) => event.type)).toEqual(["answer"]);
  });

  it("throws the problem that an error event describes, after the text before it", async () => {
    const error = { status: 500, reason: "internal", detail: "Internal error; report it." };
    const text = `event: token\ndata: {"variant":0,"text":"Fog"}\n\nevent: error\ndata: ${JSON.stringify(error)}\n\n`;
    const { events, problem } = await read(bodyOf(text));
    expect(events).toHaveLength(1);
    expect(problem).toMatchObject({ ...error, retryAfter: null });
  });

  it.each([true, false])("says that the connection broke without an answer (broken: %s)", async (broken) => {
    const { events, problem } = await read(
      bodyOf('event: token\ndata: {"variant":0,"text":"Fog"}\n\nevent: tok', { broken }),
    );
    expect(events).toEqual([{ type: "token", variant: 0, text: "Fog" }]);
    expect(problem).toMatchObject({ status: 0, reason: "interrupted" });
  });
});
