// HTTP client, typed by the service's OpenAPI document.
import createClient, { type Middleware } from "openapi-fetch";
import { currentKey } from "./key";
import { problemOf, unreachable } from "./problems";
import { noteRefusedKey } from "./refusedKey";
import type { components, paths } from "./schema";

export type Schemas = components["schemas"];

/** The service's address: the page's own folder. */
export const SERVICE = new URL(".", document.baseURI);

/** What a header can carry (RFC 9110, 5.5). `fetch` fails with anything else. */
const CARRIED = /^[\x20-\x7e]+$/;

/** Headers that every request has. A key that no header can carry is not sent, so the service asks for another one. */
export function authorization(): Record<string, string> {
  const key = currentKey();
  return key && CARRIED.test(key) ? { "X-API-Key": key } : {};
}

const authenticate: Middleware = {
  onRequest({ request }) {
    for (const [name, value] of Object.entries(authorization())) request.headers.set(name, value);
    return request;
  },
  onResponse({ response }) {
    noteRefusedKey(response);
  },
  onError({ error }) {
    if (error instanceof DOMException && error.name === "AbortError") return error;
    return unreachable();
  },
};

export const client = createClient<paths>({ baseUrl: SERVICE.href.replace(/\/$/, "") });
client.use(authenticate);

/**
 * Return what the service answered to a *call* of the client.
 *
 * @throws ServiceProblem if it refused the request or could not be reached.
 */
export async function answerOf<T>(
  call: Promise<{ data?: T; error?: unknown; response: Response }>,
): Promise<T> {
  const { data, error, response } = await call;
  if (!response.ok) throw problemOf(response, error);
  return data as T;
}
