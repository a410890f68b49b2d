import { afterEach, expect, it, vi } from "vitest";
import { createPreference } from "./preferences";

afterEach(() => vi.unstubAllGlobals());

it("follows a change in another tab", () => {
  let stored: string | null = '"yes"';
  let told: (event: Partial<StorageEvent>) => void = () => undefined;
  vi.stubGlobal("localStorage", { getItem: () => stored });
  vi.stubGlobal("addEventListener", (_event: string, listener: typeof told) => {
    told = listener;
  });
  const preference = createPreference("consent", "unasked", (value) => typeof value === "string");
  const listener = vi.fn();
  preference.subscribe(listener);

  stored = '"no"';
  told({ key: "snap2caption.theme" });
  expect(preference.get()).toBe("yes");
  told({ key: "snap2caption.consent" });
  expect(preference.get()).toBe("no");
  expect(listener).toHaveBeenCalledOnce();

  stored = null;
  told({ key: null });
  expect(preference.get()).toBe("unasked");
});
