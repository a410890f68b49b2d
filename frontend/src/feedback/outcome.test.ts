import { describe, expect, it } from "vitest";
import { ServiceProblem } from "@/api/problems";
import { outcomeOf, PATIENCE } from "./outcome";

const problem = (status: number, reason: string, retryAfter: number | null = null) =>
  new ServiceProblem(status, reason, "A sentence.", retryAfter);

describe("outcomeOf", () => {
  it("waits as long as a busy service says", () => {
    expect(outcomeOf(problem(429, "rate_limit", 7))).toEqual({ kind: "wait", seconds: 7 });
    expect(outcomeOf(problem(503, "busy", 0))).toEqual({ kind: "wait", seconds: 0 });
  });

  it.each([0, 408, 500, 502, 504, 507])("repeats what failed with status %d", (status) => {
    expect(outcomeOf(problem(status, "unknown"))).toEqual({ kind: "wait", seconds: PATIENCE });
  });

  it("waits for a valid key", () => {
    expect(outcomeOf(problem(401, "bad_key"))).toEqual({ kind: "wait", seconds: null });
  });

  it("drops what was erased", () => {
    expect(outcomeOf(problem(410, "erased"))).toEqual({ kind: "erased" });
  });

  it("says why the service will never accept it", () => {
    expect(outcomeOf(problem(422, "invalid"))).toEqual({ kind: "refused", why: "A sentence." });
    expect(outcomeOf(problem(404, "unknown_request"))).toMatchObject({
      kind: "refused",
      why: expect.stringContaining("no longer keeps this caption"),
    });
  });
});
