import { describe, expect, it } from "vitest";
import { problemOf, retryAfter } from "./problems";

describe("retryAfter", () => {
  const now = Date.parse("2026-01-01T00:00:00Z");

  it("reads seconds and HTTP dates", () => {
    expect(retryAfter("7", now)).toBe(7);
    expect(retryAfter("Thu, 01 Jan 2026 00:00:05 GMT", now)).toBe(5);
    expect(retryAfter("Wed, 31 Dec 2025 00:00:00 GMT", now)).toBe(0);
  });

  it("reads nothing from a missing or broken header", () => {
    expect(retryAfter(null, now)).toBeNull();
    expect(retryAfter("soon", now)).toBeNull();
  });
});

describe("problemOf", () => {
  it("keeps the service's sentence and its code", () => {
    const response = new Response(null, { status: 503, headers: { "Retry-After": "3" } });
    const problem = problemOf(response, { detail: "All places are taken.", reason: "queue_full" });
    expect(problem).toMatchObject({
      status: 503,
      reason: "queue_full",
      detail: "All places are taken.",
      retryAfter: 3,
    });
    expect(problem.isBusy).toBe(true);
  });

  it("describes what is not a problem body, such as a proxy's page, by its status", () => {
    const problem = problemOf(new Response(null, { status: 502 }), "<html>");
    expect(problem.detail).toContain("502");
    expect(problem.isBusy).toBe(false);
  });

  it.each([
    [429, "rate_limit", "1", true],
    [503, "queue_full", "1", true],
    [504, "deadline", "1", true],
    [503, "queue_full", null, false],
    [503, "no_model", "10", false],
    [500, "internal", "1", false],
  ])("tells whether to wait after %d %s with Retry-After %s: %s", (status, reason, after, isBusy) => {
    const headers = after === null ? {} : { "Retry-After": after };
    const problem = problemOf(new Response(null, { status, headers }), { detail: "Wait.", reason });
    expect(problem.isBusy).toBe(isBusy);
  });
});
