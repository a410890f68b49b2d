// The page's queue of feedback, and its state for components.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { useKey } from "@/api/key";
import { toast } from "@/ui/toast";
import { mayKeep, useConsent } from "./consent";
import { FeedbackQueue } from "./queue";
import { readItems } from "./store";
import { service } from "./transport";

const ITEMS = ["feedback"];

/** Feedback that waits is kept back while the creator has withdrawn their consent. */
export const feedbackQueue = new FeedbackQueue(service, () => navigator.onLine && mayKeep(), toast);

/** Tells the other tabs of changes. */
const otherTabs = openChannel();
feedbackQueue.subscribe(() => otherTabs?.postMessage("changed"));

/** Some browsers that refuse storage refuse channels too: tabs then have nothing in common. */
function openChannel(): BroadcastChannel | null {
  try {
    return new BroadcastChannel("snap2caption.feedback");
  } catch {
    return null;
  }
}

/** Send what waits: now, when the creator is back online, and when they have another key or agree again. */
export function useFeedbackDelivery(): void {
  const key = useKey();
  const [consent] = useConsent();
  // biome-ignore lint/correctness/useExhaustiveDependencies: another key or answer may let pass what waits.
  useEffect(() => {
    const deliver = () => void feedbackQueue.deliver();
    deliver();
    window.addEventListener("online", deliver);
    return () => window.removeEventListener("online", deliver);
  }, [key, consent]);
}

/** Feedback that was sent from this device or waits here, the newest first. */
export function useFeedbackItems() {
  const queries = useQueryClient();
  useEffect(() => {
    const refresh = () => void queries.invalidateQueries({ queryKey: ITEMS });
    otherTabs?.addEventListener("message", refresh);
    const unsubscribe = feedbackQueue.subscribe(refresh);
    return () => {
      unsubscribe();
      otherTabs?.removeEventListener("message", refresh);
    };
  }, [queries]);
  return useQuery({
    queryKey: ITEMS,
    queryFn: async () => (await readItems()).reverse(),
    networkMode: "always",
  });
}
