import { describe, expect, it } from "vitest";
import { ServiceProblem } from "@/api/problems";
import { nextAttempt } from "./retry";

const busy = (seconds: number | null) => new ServiceProblem(503, "queue_full", "Wait.", seconds);

describe("nextAttempt", () => {
  it("is when the service said, but not at once", () => {
    expect(nextAttempt(busy(7), 0, 1000)).toBe(8000);
    expect(nextAttempt(busy(0), 0, 1000)).toBe(2000);
  });

  it("ends after five minutes in all", () => {
    expect(nextAttempt(busy(10), 0, 290_000)).toBe(300_000);
    expect(nextAttempt(busy(10), 0, 290_001)).toBeNull();
    expect(nextAttempt(busy(301), 0, 0)).toBeNull();
  });

  it("is never for other problems", () => {
    expect(nextAttempt(busy(null), 0, 0)).toBeNull();
    expect(nextAttempt(new ServiceProblem(422, "invalid", "No.", 3), 0, 0)).toBeNull();
  });
});
