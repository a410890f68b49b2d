import { afterEach, expect, it, vi } from "vitest";

vi.hoisted(() => vi.stubGlobal("document", { baseURI: "http://127.0.0.1/" }));
const currentKey = vi.hoisted(() => vi.fn<() => string | null>());
vi.mock("./key", () => ({ currentKey }));

const { authorization } = await import("./client");

afterEach(() => vi.unstubAllGlobals());

it.each([
  ["a key", { "X-API-Key": "a key" }],
  // `fetch` would fail, and the page would say that the service doesn't answer.
  ["ключ", {}],
  ["two\nlines", {}],
  [null, {}],
])("sends %j as %j", (key, headers) => {
  currentKey.mockReturnValue(key);
  expect(authorization()).toEqual(headers);
});
