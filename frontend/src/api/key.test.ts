import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

const replaceState = vi.fn();
let openAddress: () => void = () => undefined;
const page = {
  location: { hash: "", pathname: "/", search: "" },
  history: { replaceState },
  addEventListener: (_event: string, listener: () => void) => {
    openAddress = listener;
  },
};

/** A tab in which an address with *hash* was opened. */
async function tab(hash: string) {
  page.location.hash = hash;
  const module = await import("./key");
  module.takeKeysFromAddress();
  return module;
}

function storage(): Storage {
  const items = new Map<string, string>();
  return {
    getItem: (name: string) => items.get(name) ?? null,
    setItem: (name: string, value: string) => items.set(name, value),
    removeItem: (name: string) => items.delete(name),
  } as unknown as Storage;
}

beforeEach(() => {
  vi.resetModules();
  replaceState.mockClear();
  vi.stubGlobal("window", page);
  vi.stubGlobal("sessionStorage", storage());
  vi.stubGlobal("localStorage", storage());
});
afterEach(() => vi.unstubAllGlobals());

describe("the key in the address", () => {
  it.each([
    ["#key=abc", "abc"],
    ["#key=a%20key", "a key"],
    ["#key=100%", "100%"],
  ])("%s is %s", async (hash, key) => {
    const { currentKey } = await tab(hash);
    expect(currentKey()).toBe(key);
    expect(replaceState).toHaveBeenCalledWith(null, "", "/");
  });

  it("is taken when one is opened in a tab that has the page", async () => {
    const { currentKey } = await tab("#/voice");
    expect(currentKey()).toBeNull();
    page.location.hash = "#key=abc";
    openAddress();
    expect(currentKey()).toBe("abc");
  });
});

describe("a stored key", () => {
  it("is remembered if its owner says so", async () => {
    (await tab("")).saveKey("abc", true);
    expect(localStorage.getItem("snap2caption.key")).toBe("abc");
    expect(sessionStorage.getItem("snap2caption.key")).toBeNull();
  });

  it("lasts as long as the page where the browser refuses storage", async () => {
    const refused = {
      get() {
        throw new DOMException("Refused by the test.", "SecurityError");
      },
    };
    Object.defineProperty(globalThis, "sessionStorage", { ...refused, configurable: true });
    Object.defineProperty(globalThis, "localStorage", { ...refused, configurable: true });
    const { currentKey, saveKey, forgetKey } = await tab("");
    saveKey("abc", true);
    expect(currentKey()).toBe("abc");
    forgetKey();
    expect(currentKey()).toBeNull();
  });
});
