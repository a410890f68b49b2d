import "fake-indexeddb/auto";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { ServiceProblem } from "@/api/problems";
import type { FeedbackItem } from "@/storage/database";
import { FeedbackQueue } from "./queue";
import { readItems, removeItems } from "./store";
import type { Transport } from "./transport";

/** A service that accepts each Idempotency-Key once, and fails as told before it does. */
class Service implements Transport {
  readonly accepted = new Map<string, number>();
  readonly erased: string[] = [];
  failures: Error[] = [];
  losesAnswer = false;

  async send(item: FeedbackItem): Promise<string> {
    const failure = this.failures.shift();
    if (failure) throw failure;
    this.accepted.set(item.id, (this.accepted.get(item.id) ?? 0) + 1);
    if (this.losesAnswer) throw unreachable();
    return `server-${item.id}`;
  }

  async erase(serverId: string): Promise<boolean> {
    if (serverId === "foreign") throw new ServiceProblem(404, "unknown_feedback", "Unknown.");
    this.erased.push(serverId);
    return true;
  }

  async eraseAll(): Promise<boolean> {
    const failure = this.failures.shift();
    if (failure) throw failure;
    this.erased.push("everything");
    return false;
  }
}

const unreachable = () => new ServiceProblem(0, "unreachable", "No answer.");
const body = (rating: number) => ({ request_id: "r", variant: 0, rating });
const states = async () => (await readItems()).map((item) => item.state);

let service: Service;
let online: boolean;
let refusals: string[];
let queue: FeedbackQueue;

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
  await removeItems();
  service = new Service();
  online = true;
  refusals = [];
  queue = new FeedbackQueue(
    service,
    () => online,
    (why) => refusals.push(why),
  );
  return () => vi.useRealTimers();
});

/** Add feedback one after the other, each a millisecond later than the one before. */
async function addAll(...ratings: number[]): Promise<void> {
  for (const rating of ratings) {
    await queue.add(body(rating), "A caption.");
    await vi.advanceTimersByTimeAsync(1);
  }
  await queue.deliver();
}

describe("FeedbackQueue", () => {
  it("sends what is added, once", async () => {
    await addAll(5);
    await queue.deliver();
    expect(await readItems()).toMatchObject([{ state: "sent", serverId: expect.stringMatching(/^server-/) }]);
    expect([...service.accepted.values()]).toEqual([1]);
  });

  it("keeps it while the creator is offline, and sends it in order afterwards", async () => {
    online = false;
    await addAll(1, 2, 3);
    expect(await states()).toEqual(["waiting", "waiting", "waiting"]);
    online = true;
    await Promise.all([queue.deliver(), queue.deliver()]);
    const ids = (await readItems()).map((item) => item.id);
    expect([...service.accepted.keys()]).toEqual(ids);
    expect([...service.accepted.values()]).toEqual([1, 1, 1]);
  });

  it("comes back when a busy service says", async () => {
    service.failures = [new ServiceProblem(503, "busy", "Busy.", 7)];
    await addAll(4);
    expect(await states()).toEqual(["waiting"]);
    await vi.advanceTimersByTimeAsync(6_900);
    await queue.deliver();
    expect(service.accepted.size).toBe(0);
    await vi.advanceTimersByTimeAsync(200);
    await vi.waitFor(async () => expect(await states()).toEqual(["sent"]));
  });

  it("does not send a later one before an earlier one", async () => {
    service.failures = [new ServiceProblem(429, "rate_limit", "Busy.", 60), unreachable()];
    await addAll(1, 2);
    expect(service.accepted.size).toBe(0);
  });

  it("says once why the service refuses one, and goes on with the next", async () => {
    service.failures = [new ServiceProblem(422, "invalid", "The rating is invalid.")];
    await addAll(9, 5);
    await queue.deliver();
    expect(await states()).toEqual(["refused", "sent"]);
    expect(refusals).toEqual(["The rating is invalid."]);
  });

  it("drops one that was erased elsewhere", async () => {
    service.failures = [new ServiceProblem(410, "erased", "Erased.")];
    await addAll(5);
    expect(await readItems()).toEqual([]);
  });

  it("repeats one whose answer was lost with the same key", async () => {
    service.losesAnswer = true;
    await addAll(5);
    expect(await states()).toEqual(["sending"]);
    service.losesAnswer = false;
    await queue.deliver();
    expect(await states()).toEqual(["sent"]);
    expect(service.accepted.size).toBe(1);
  });
});

describe("erase", () => {
  it("erases what was sent in the service", async () => {
    await addAll(5);
    const [item] = await readItems();
    expect(await queue.erase(item?.id ?? "")).toBe(true);
    expect(service.erased).toEqual([item?.serverId]);
    expect(await readItems()).toEqual([]);
  });

  it("drops what was never sent, without asking the service", async () => {
    online = false;
    await addAll(5);
    await queue.erase((await readItems())[0]?.id ?? "");
    expect(service.erased).toEqual([]);
    expect(await readItems()).toEqual([]);
  });

  it("finds what the service may have received although its answer was lost", async () => {
    service.losesAnswer = true;
    await addAll(5);
    const id = (await readItems())[0]?.id ?? "";
    await expect(queue.erase(id)).rejects.toThrow("No answer.");
    expect(await states()).toEqual(["sending"]);
    service.losesAnswer = false;
    await queue.erase(id);
    expect(service.erased).toEqual([`server-${id}`]);
  });

  it("still asks the service if it was busy after an answer was lost", async () => {
    service.losesAnswer = true;
    await addAll(5);
    service.losesAnswer = false;
    service.failures = [new ServiceProblem(503, "busy", "Busy.", 7)];
    await queue.deliver();
    await queue.erase((await readItems())[0]?.id ?? "");
    expect(service.erased).toHaveLength(1);
  });

  it("keeps one that the service doesn't know in the list, until it is removed from there", async () => {
    await addAll(5);
    const [item] = await readItems();
    vi.spyOn(service, "erase").mockRejectedValueOnce(new ServiceProblem(404, "unknown_feedback", "Unknown."));
    await expect(queue.erase(item?.id ?? "")).rejects.toThrow("another key");
    expect(await states()).toEqual(["refused"]);
    await queue.erase(item?.id ?? "");
    expect(await readItems()).toEqual([]);
  });

  it("erases everything, or nothing if the service can't be asked", async () => {
    await addAll(5, 4);
    service.failures = [unreachable()];
    await expect(queue.eraseAll()).rejects.toThrow("No answer.");
    expect(await states()).toEqual(["sent", "sent"]);
    expect(await queue.eraseAll()).toBe(false);
    expect(await readItems()).toEqual([]);
  });
});

describe("a browser that refuses storage", () => {
  it("keeps feedback as long as the page", async () => {
    const open = vi.spyOn(indexedDB, "open").mockImplementation(() => {
      throw new DOMException("Refused.", "SecurityError");
    });
    vi.resetModules();
    const { FeedbackQueue: Queue } = await import("./queue");
    const { readItems: read } = await import("./store");
    online = false;
    const other = new Queue(
      service,
      () => online,
      () => undefined,
    );
    await other.add(body(5), "A caption.");
    expect(await read()).toMatchObject([{ state: "waiting" }]);
    online = true;
    await other.deliver();
    expect(await read()).toMatchObject([{ state: "sent" }]);
    open.mockRestore();
  });
});
