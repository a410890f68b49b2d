// Cache of what the service holds. Whichever request is refused for its key, the page asks for another one.
import { MutationCache, QueryCache, QueryClient } from "@tanstack/react-query";
import { ServiceProblem } from "@/api/problems";

/** Key of the query that finds out whether the service answers the creator. */
export const ACCESS = "access";

export function createQueryClient(): QueryClient {
  const checkAccess = (error: Error) => {
    if (error instanceof ServiceProblem && error.status === 401) {
      void queries.invalidateQueries({ queryKey: [ACCESS] });
    }
  };
  const queries = new QueryClient({
    defaultOptions: { queries: { retry: false } },
    queryCache: new QueryCache({
      onError(error, { queryKey }) {
        if (queryKey[0] !== ACCESS) checkAccess(error);
      },
    }),
    mutationCache: new MutationCache({ onError: checkAccess }),
  });
  return queries;
}
