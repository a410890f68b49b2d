import { afterEach, expect, it, vi } from "vitest";
import { exclusively } from "./lock";

afterEach(() => vi.unstubAllGlobals());

it("goes on where the browser refuses locks", async () => {
  vi.stubGlobal("navigator", {
    locks: { request: () => Promise.reject(new DOMException("Refused by the test.", "SecurityError")) },
  });
  await expect(exclusively(async () => "done")).resolves.toBe("done");
});

it("does not repeat a task that fails", async () => {
  vi.stubGlobal("navigator", { locks: { request: (_name: string, run: () => unknown) => run() } });
  const task = vi.fn(() => Promise.reject(new Error("failed")));
  await expect(exclusively(task)).rejects.toThrow("failed");
  expect(task).toHaveBeenCalledOnce();
});
