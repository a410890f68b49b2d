// Consent to keep photos and captions for feedback: asked once, changeable at any time.
import { createPreference, usePreference } from "@/storage/preferences";

export const CONSENTS = ["unasked", "yes", "no"] as const;
export type Consent = (typeof CONSENTS)[number];

export const consentPreference = createPreference<Consent>("consent", "unasked", (value) =>
  CONSENTS.includes(value as Consent),
);

/** Whether the creator agrees now. Only then may a caption be asked for with `keep_for_feedback`. */
export function mayKeep(): boolean {
  return consentPreference.get() === "yes";
}

/** The creator's consent and its setter. */
export function useConsent(): [Consent, (consent: Consent) => void] {
  return usePreference(consentPreference);
}
