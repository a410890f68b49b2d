import { QueryObserver } from "@tanstack/react-query";
import { expect, it, vi } from "vitest";
import { ServiceProblem } from "@/api/problems";
import { ACCESS, createQueryClient } from "./queries";

const refusal = (status: number) => async () => {
  throw new ServiceProblem(status, "reason", "A sentence.");
};

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
  check.mockImplementation(refusal(401));
  await queries.fetchQuery({ queryKey: ["voice"], queryFn: refusal(status) }).catch(() => undefined);
  await vi.waitFor(() => expect(check).toHaveBeenCalledTimes(checks));
  await vi.waitFor(() => expect(queries.isFetching()).toBe(0));
  expect(check).toHaveBeenCalledTimes(checks);
  stop();
});
