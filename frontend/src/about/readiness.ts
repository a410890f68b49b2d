// Readiness of the service, as GET /readyz tells it.
import type { Schemas } from "@/api/client";
import { problemOf } from "@/api/problems";

export interface Condition {
  /** Whether the service answers requests. */
  isReady: boolean;
  /** null: none is in service. */
  modelVersion: string | null;
  /** What captions of this model can't be used for. */
  limitations: string | null;
  /** What does not work as it should, one sentence each. */
  troubles: string[];
}

const DEGRADED: Record<Schemas["Degraded"], string> = {
  registry: "The service can't reach the registry of models, so it does not take up newer ones.",
  champion: "The newest model was refused. An earlier one writes the captions.",
  hashtags: "The service can't read its newest hashtags, so some may be missing.",
};

const NOT_PROMOTED = "No model was promoted yet.";

const OVERLOADED = "Many photos are waiting, so the next one may have to be sent again.";

/**
 * Returns the condition that an answer of /readyz describes.
 *
 * @param body a `Readiness`, or a problem body with the same fields except those of the model.
 */
export function conditionOf(response: Response, body: unknown): Condition {
  const { degraded, queue, model_version, limitations } = (body ?? {}) as Partial<Schemas["Readiness"]>;
  return {
    isReady: response.ok,
    modelVersion: model_version ?? null,
    limitations: limitations ?? null,
    troubles: [
      ...(response.ok ? [] : [problemOf(response, body).detail]),
      ...(response.ok && model_version === null ? [NOT_PROMOTED] : []),
      // A newer service may name something that this page doesn't know.
      ...(degraded ?? []).map((name) => DEGRADED[name] ?? `Something does not work as it should: ${name}.`),
      ...(response.ok && queue?.overloaded ? [OVERLOADED] : []),
    ],
  };
}
