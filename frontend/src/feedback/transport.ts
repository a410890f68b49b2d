// Feedback routes of the service.
import { answerOf, client } from "@/api/client";
import type { FeedbackBody, FeedbackItem } from "@/storage/database";

/** How long a request may take, in milliseconds, so that a stalled line does not block the queue. */
const TIME_LIMIT = 30_000;

/** What the queue needs of the service. All methods throw a `ServiceProblem` if they are refused. */
export interface Transport {
  /** Send an item, and return the service's id of it. Sending it again returns the same id. */
  send(item: FeedbackItem): Promise<string>;
  /** Erase one feedback. Returns false if the service does it later, because its store can't be reached. */
  erase(serverId: string): Promise<boolean>;
  /** Erase all of the creator's feedback, and their voice. */
  eraseAll(): Promise<boolean>;
}

export const service: Transport = {
  async send(item) {
    const accepted = await answerOf(
      client.POST("/v1/feedback", {
        // `toSubmission` makes sure that there is a rating or something else. The type can't say so.
        body: item.body as FeedbackBody & { rating: number },
        headers: { "Idempotency-Key": item.id },
        signal: AbortSignal.timeout(TIME_LIMIT),
      }),
    );
    return accepted.id;
  },
  async erase(serverId) {
    const path = { identifier: serverId };
    return (await answerOf(client.DELETE("/v1/feedback/{identifier}", { params: { path } }))).erased;
  },
  async eraseAll() {
    return (await answerOf(client.DELETE("/v1/feedback"))).erased;
  },
};
