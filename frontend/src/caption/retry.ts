// Retries while the service is busy.
import type { ServiceProblem } from "@/api/problems";

/** Seconds that the retries of one request may take in all. */
export const PATIENCE = 300;
/** Seconds to wait at least, so that a service that says 0 is not asked without a pause. */
const SHORTEST = 1;

/**
 * Return when to try again after *problem*, in milliseconds; null: not by itself.
 *
 * @param since when the first attempt began, in milliseconds.
 */
export function nextAttempt(problem: ServiceProblem, since: number, now: number): number | null {
  if (!problem.isBusy || problem.retryAfter === null) return null;
  const at = now + 1000 * Math.max(SHORTEST, problem.retryAfter);
  return at - since <= 1000 * PATIENCE ? at : null;
}
