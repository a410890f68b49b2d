import { describe, expect, it } from "vitest";
import { ServiceProblem } from "@/api/problems";
import { canRepeat, failureSentence } from "./sentences";

describe("failureSentence", () => {
  it.each([
    [new ServiceProblem(503, "no_model", "promote one", 10), /no model yet.*person who runs it/],
    [new ServiceProblem(504, "unknown", "Status 504."), /took too long.*Try again/],
    [new ServiceProblem(503, "queue_full", "Wait.", 5), /busy for some minutes/],
    [new ServiceProblem(503, "engine_away", "Status 500; see its log."), /can’t be reached.*Try again/],
    [new ServiceProblem(429, "rate_limit", "Wait.", 400), /in 7 minutes/],
    [new ServiceProblem(422, "image_unreadable", "The photo can't be read; send another."), /send another/],
  ])("says what to do (%s)", (problem, sentence) => expect(failureSentence(problem)).toMatch(sentence));
});

describe("canRepeat", () => {
  it("is false for what is wrong with the request itself", () => {
    const repeatable = [0, 401, 408, 413, 422, 429, 500, 503, 504].filter((status) =>
      canRepeat(new ServiceProblem(status, "x", "x")),
    );
    expect(repeatable).toEqual([0, 408, 429, 500, 503, 504]);
  });
});
