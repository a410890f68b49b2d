import { QueryObserver } from "@tanstack/react-query";
import { expect, it, vi } from "vitest";
import { ServiceProblem } from "@/api/problems";
import { noteRefusedKey } from "@/api/refusedKey";
import { ACCESS, createQueryClient } from "./queries";

it.each([
  [401, 2],
  [503, 1],
])("after status %d, access was checked %d times", async (status, checks) => {
  const queries = createQueryClient();
  const check = vi.fn(async () => true);
  const stop = new QueryObserver(queries, {
    queryKey: [ACCESS],
    queryFn: check,
    staleTime: Number.POSITIVE_INFINITY,
  }).subscribe(() => undefined);
  await vi.waitFor(() => expect(queries.getQueryData([ACCESS])).toBe(true));
  // From here on, access is refused too, which must not make it ask again.
  check.mockImplementation(async () => {
    noteRefusedKey(new Response(null, { status: 401 }));
    throw new ServiceProblem(401, "bad_key", "A sentence.");
  });
  noteRefusedKey(new Response(null, { status }));
  await vi.waitFor(() => expect(check).toHaveBeenCalledTimes(checks));
  await vi.waitFor(() => expect(queries.isFetching()).toBe(0));
  noteRefusedKey(new Response(null, { status }));
  await vi.waitFor(() => expect(queries.isFetching()).toBe(0));
  expect(check).toHaveBeenCalledTimes(checks);
  stop();
});
