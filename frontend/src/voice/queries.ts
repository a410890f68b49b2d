// The creator's saved captions in the service.
import { type QueryKey, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { answerOf, client } from "@/api/client";
import { useKey } from "@/api/key";

/** A change of the list. It is applied to what is shown at once, and to what the service has then. */
type Change = (saved: readonly string[]) => string[];

/** Feedback may have saved a caption twice. */
async function readVoice(): Promise<string[]> {
  return [...new Set((await answerOf(client.GET("/v1/voice"))).captions)];
}

/** Each creator has their own. */
function useVoiceKey(): QueryKey {
  return ["voice", useKey()];
}

/** The saved captions, the newest first. */
export function useVoice() {
  return useQuery({ queryKey: useVoiceKey(), queryFn: readVoice, networkMode: "always" });
}

/** Change the list. What is shown changes at once, and goes back if the service refuses the change. */
export function useChangeVoice() {
  return useOptimisticMutation<Change>(
    (change, shown) => change(shown),
    async (change) => {
      // Sending replaces the whole list, and feedback or another device may have added to it.
      const captions = change(await readVoice());
      return (await answerOf(client.PUT("/v1/voice", { body: { captions } }))).captions;
    },
  );
}

export function useEraseVoice() {
  return useOptimisticMutation<void>(
    () => [],
    async () => {
      await answerOf(client.DELETE("/v1/voice"));
      return [];
    },
  );
}

function useOptimisticMutation<T>(
  preview: (variables: T, shown: readonly string[]) => string[],
  save: (variables: T) => Promise<string[]>,
) {
  const queries = useQueryClient();
  const queryKey = useVoiceKey();
  return useMutation({
    mutationFn: save,
    // One after the other.
    scope: { id: "voice" },
    networkMode: "always",
    async onMutate(variables) {
      await queries.cancelQueries({ queryKey });
      const before = queries.getQueryData<string[]>(queryKey);
      if (before) queries.setQueryData(queryKey, preview(variables, before));
      return before;
    },
    onSuccess: (saved) => queries.setQueryData(queryKey, saved),
    onError(_error, _variables, before) {
      queries.setQueryData(queryKey, before);
      return queries.invalidateQueries({ queryKey });
    },
  });
}
