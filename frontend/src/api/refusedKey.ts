// Requests that the service refused for their key, whoever made them.
import { Listeners } from "@/storage/listeners";

const listeners = new Listeners();

/** Call a listener after each refusal. */
export const onRefusedKey = listeners.subscribe;

/** Tell the listeners if *response* refuses the key. */
export function noteRefusedKey(response: Response): void {
  if (response.status === 401) listeners.notify();
}
