// Queue of feedback: saved on the device first, then sent in order, each exactly once.
import { ServiceProblem } from "@/api/problems";
import type { FeedbackBody, FeedbackItem } from "@/storage/database";
import { Listeners } from "@/storage/listeners";
import { exclusively } from "./lock";
import { type Outcome, outcomeOf } from "./outcome";
import { readItems, removeItem, removeItems, saveItem } from "./store";
import type { Transport } from "./transport";

const NOT_YOURS =
  "The service knows no such feedback of yours. If you sent it with another key, use that key; otherwise remove it from this list.";

export class FeedbackQueue {
  private readonly listeners = new Listeners();
  /** Call a listener after each change. */
  readonly subscribe = this.listeners.subscribe;
  private timer: ReturnType<typeof setTimeout> | undefined;
  /** Milliseconds since 1970: when a busy service wants to be asked again. */
  private busyUntil = 0;

  /**
   * @param transport the service.
   * @param maySend whether an attempt makes sense now.
   * @param onRefused called once for each item that the service will never accept.
   */
  constructor(
    private readonly transport: Transport,
    private readonly maySend: () => boolean,
    private readonly onRefused: (why: string) => void,
  ) {}

  /** Save feedback on the caption *caption*, and begin to send it. */
  async add(body: FeedbackBody, caption: string): Promise<void> {
    await this.save({ id: randomId(), createdAt: Date.now(), body, caption, state: "waiting" });
    void this.deliver();
  }

  /** Send everything that waits, the oldest first, until something has to wait longer. */
  async deliver(): Promise<void> {
    clearTimeout(this.timer);
    const seconds = await exclusively(() => this.sendAll());
    if (seconds === null) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.deliver(), seconds * 1000);
  }

  /**
   * Erase one item, here and in the service. One that was never sent is dropped.
   *
   * @returns false if the service erases it later.
   * @throws ServiceProblem if the service can't be asked.
   */
  erase(id: string): Promise<boolean> {
    return exclusively(async () => {
      const item = (await readItems()).find((candidate) => candidate.id === id);
      if (!item) return true;
      const serverId = item.state === "sending" ? await this.findServerId(item) : item.serverId;
      const isErased = serverId ? await this.eraseInService(item, serverId) : true;
      await removeItem(id);
      this.listeners.notify();
      return isErased;
    });
  }

  /**
   * Erase all feedback of the creator, here and in the service, and their voice.
   *
   * @returns false if the service erases it later.
   * @throws ServiceProblem if the service can't be asked. Then nothing has changed.
   */
  eraseAll(): Promise<boolean> {
    return exclusively(async () => {
      const isErased = await this.transport.eraseAll();
      await removeItems();
      this.listeners.notify();
      return isErased;
    });
  }

  /** Returns the seconds until the next attempt; null: nothing waits, or only for an event. */
  private async sendAll(): Promise<number | null> {
    const items = (await readItems()).filter((item) => item.state === "waiting" || item.state === "sending");
    for (const item of items) {
      if (!this.maySend()) return null;
      const busyFor = (this.busyUntil - Date.now()) / 1000;
      if (busyFor > 0) return busyFor;
      await this.save({ ...item, state: "sending" });
      try {
        await this.save({ ...item, state: "sent", serverId: await this.transport.send(item) });
      } catch (error) {
        const problem = asProblem(error);
        const outcome = outcomeOf(problem);
        await this.apply(outcome, item, problem);
        this.busyUntil = Date.now() + 1000 * (problem.retryAfter ?? 0);
        if (outcome.kind === "wait") return outcome.seconds;
      }
    }
    return null;
  }

  private async apply(outcome: Outcome, item: FeedbackItem, problem: ServiceProblem): Promise<void> {
    switch (outcome.kind) {
      case "wait":
        // A service that is busy or refuses the key has not taken the item. Any other failure leaves that open.
        if (problem.isBusy || problem.status === 401) await this.save(item);
        break;
      case "erased":
        await removeItem(item.id);
        this.listeners.notify();
        break;
      case "refused":
        await this.save({ ...item, state: "refused", problem: outcome.why });
        this.onRefused(outcome.why);
    }
  }

  /** Returns the id that the service gave an item whose answer was lost; undefined: it refuses to have it. */
  private async findServerId(item: FeedbackItem): Promise<string | undefined> {
    try {
      return await this.transport.send(item);
    } catch (error) {
      if (outcomeOf(asProblem(error)).kind === "wait") throw error;
      return undefined;
    }
  }

  private async eraseInService(item: FeedbackItem, serverId: string): Promise<boolean> {
    try {
      return await this.transport.erase(serverId);
    } catch (error) {
      if (!(error instanceof ServiceProblem) || error.status !== 404) throw error;
      const { serverId: _, ...rest } = item;
      await this.save({ ...rest, state: "refused", problem: NOT_YOURS });
      throw new ServiceProblem(404, error.reason, NOT_YOURS);
    }
  }

  private async save(item: FeedbackItem): Promise<void> {
    await saveItem(item);
    this.listeners.notify();
  }
}

/** A time-out has no answer either. */
function asProblem(error: unknown): ServiceProblem {
  if (error instanceof ServiceProblem) return error;
  return new ServiceProblem(0, "unreachable", "The service doesn't answer.");
}

/** A random id. Not `randomUUID`, which pages without HTTPS lack. */
function randomId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
}
