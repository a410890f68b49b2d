// Problem details (RFC 9457): what the service refused, and when to try again.

/** Why a request failed: the service's problem body, or that it could not be reached (status 0). */
export class ServiceProblem extends Error {
  constructor(
    /** HTTP status; 0 if there was no answer. */
    readonly status: number,
    /** Machine-readable code, as listed in docs/api.md. */
    readonly reason: string,
    /** One sentence. */
    readonly detail: string,
    /** Seconds until another attempt makes sense; null if the service named none. */
    readonly retryAfter: number | null = null,
  ) {
    super(detail);
    this.name = "ServiceProblem";
  }

  /** The service is busy: the same request will be accepted later. A model does not come by waiting. */
  get isBusy(): boolean {
    return [429, 503, 504].includes(this.status) && this.retryAfter !== null && this.reason !== "no_model";
  }
}

export function unreachable(): ServiceProblem {
  const detail = navigator.onLine
    ? "The service doesn't answer. Check that it runs, then try again."
    : "You are offline. Your photo and options are still here; try again when you are back.";
  return new ServiceProblem(0, "unreachable", detail);
}

/**
 * Read the problem that a refusal describes.
 *
 * @param body the refusal's body as it was parsed; anything else than a problem, as a proxy may send it, is
 *   described by its status.
 */
export function problemOf(response: Response, body: unknown): ServiceProblem {
  const { detail, reason } = isProblem(body)
    ? body
    : {
        detail: `The service answered with status ${response.status}. Try again in a moment.`,
        reason: "unknown",
      };
  return new ServiceProblem(response.status, reason, detail, retryAfter(response.headers.get("Retry-After")));
}

interface ProblemBody {
  detail: string;
  reason: string;
}

function isProblem(body: unknown): body is ProblemBody {
  if (typeof body !== "object" || body === null) return false;
  const { detail, reason } = body as Partial<Record<keyof ProblemBody, unknown>>;
  return typeof detail === "string" && typeof reason === "string";
}

/** Seconds that a Retry-After header names: a number, or an HTTP date. */
export function retryAfter(header: string | null, now = Date.now()): number | null {
  if (header === null) return null;
  const seconds = /^\d+$/.test(header.trim()) ? Number(header) : (Date.parse(header) - now) / 1000;
  return Number.isNaN(seconds) ? null : Math.max(0, Math.ceil(seconds));
}
