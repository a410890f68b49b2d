import { describe, expect, it } from "vitest";
import { conditionOf } from "./readiness";

const queue = { inside: 0, capacity: 72, expected_wait_seconds: 0, overloaded: false };

describe("conditionOf", () => {
  it("describes a service that is ready", () => {
    const body = { model_version: "demo/3", limitations: "Rendered scenes only.", degraded: [], queue };
    expect(conditionOf(new Response(), body)).toEqual({
      isReady: true,
      modelVersion: "demo/3",
      limitations: "Rendered scenes only.",
      troubles: [],
    });
  });

  it("names what does not work", () => {
    const body = {
      model_version: "demo/3",
      limitations: null,
      degraded: ["registry", "later"],
      queue: { ...queue, overloaded: true },
    };
    expect(conditionOf(new Response(), body).troubles).toEqual([
      expect.stringContaining("registry"),
      expect.stringContaining("later"),
      expect.stringContaining("waiting"),
    ]);
  });

  it("reads a service that is ready before its first model", () => {
    const body = { model_version: null, limitations: null, degraded: [], queue };
    expect(conditionOf(new Response(), body)).toEqual({
      isReady: true,
      modelVersion: null,
      limitations: null,
      troubles: ["No model was promoted yet."],
    });
  });

  it("reads the refusal of a service without a model", () => {
    const refusal = {
      detail: "No model is in service yet.",
      reason: "no_model",
      degraded: ["champion"],
      queue,
    };
    const condition = conditionOf(new Response(null, { status: 503 }), refusal);
    expect(condition).toMatchObject({ isReady: false, modelVersion: null });
    expect(condition.troubles).toEqual(["No model is in service yet.", expect.stringContaining("refused")]);
  });

  it("reads a proxy's page by its status", () => {
    expect(conditionOf(new Response(null, { status: 502 }), "<html>").troubles).toEqual([
      expect.stringContaining("502"),
    ]);
  });
});
