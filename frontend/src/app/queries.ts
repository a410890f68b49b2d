// Cache of what the service holds. Whichever request is refused for its key, the page asks for another one.
import { QueryClient } from "@tanstack/react-query";
import { onRefusedKey } from "@/api/refusedKey";

/** Key of the query that finds out whether the service answers the creator. */
export const ACCESS = "access";

export function createQueryClient(): QueryClient {
  const queries = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  onRefusedKey(() => {
    // While access is being checked, or is known to be refused, another refusal says nothing new.
    void queries.invalidateQueries({
      queryKey: [ACCESS],
      predicate: ({ state }) => state.status === "success" && state.fetchStatus === "idle",
    });
  });
  return queries;
}
