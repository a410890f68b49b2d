// HTTP client, typed by the service's OpenAPI document.
import createClient, { type Middleware } from "openapi-fetch";
import { currentKey } from "./key";
import { unreachable } from "./problems";
import type { components, paths } from "./schema";

export type Schemas = components["schemas"];

/** The service's address: the page's own folder. */
export const SERVICE = new URL(".", document.baseURI);

/** Headers that every request has. */
export function authorization(): Record<string, string> {
  const key = currentKey();
  return key ? { "X-API-Key": key } : {};
}

const authenticate: Middleware = {
  onRequest({ request }) {
    for (const [name, value] of Object.entries(authorization())) request.headers.set(name, value);
    return request;
  },
  onError({ error }) {
    if (error instanceof DOMException && error.name === "AbortError") return error;
    return unreachable();
  },
};

export const client = createClient<paths>({ baseUrl: SERVICE.href.replace(/\/$/, "") });
client.use(authenticate);
