import { type Theme, themePreference } from "@/app/theme";
import type { Consent } from "@/feedback/consent";
import { useConsent } from "@/feedback/consent";
import { usePreference } from "@/storage/preferences";
import { type Chip, Chips } from "@/ui/Chips";
import { version } from "../../package.json";
import { KeySection } from "./KeySection";
import { Section } from "./Section";
import { ServiceSection } from "./ServiceSection";

const CONSENTS: readonly Chip<Consent>[] = [
  { value: "yes", label: "Yes" },
  { value: "no", label: "No" },
];

const THEMES: readonly Chip<Theme>[] = [
  { value: "system", label: "As on this device" },
  { value: "light", label: "Light" },
  { value: "dark", label: "Dark" },
];

const LINK = "inline-flex min-h-11 items-center text-accent-text underline";

/** The model and its condition, and the settings of this page. */
export function AboutView() {
  const [consent, setConsent] = useConsent();
  const [theme, setTheme] = usePreference(themePreference);
  return (
    <div className="mx-auto flex max-w-2xl flex-col gap-8 pb-6">
      <h1 className="text-2xl font-extrabold">About</h1>
      <ServiceSection />
      <Section title="Feedback">
        <Chips
          legend="May your first photo and its captions be kept for about a day, so that you can rate them?"
          chips={CONSENTS}
          value={consent}
          onChange={setConsent}
        />
        <a href="#/sent" className={LINK}>
          What you have sent
        </a>
      </Section>
      <Section title="Look">
        <Chips legend="Colors" chips={THEMES} value={theme} onChange={setTheme} />
      </Section>
      <KeySection />
      <Section title="This page">
        <p>
          Your photos are sent to this service only, without their location. Your history, your options and
          feedback that waits are kept on this device.
        </p>
        <ul className="flex flex-wrap gap-x-6">
          <li>
            <a href="./docs" className={LINK}>
              API
            </a>
          </li>
          <li>
            <a href="./static/licenses.md" className={LINK}>
              Licenses
            </a>
          </li>
        </ul>
        <p className="text-sm text-muted">Snap2Caption {version}</p>
      </Section>
    </div>
  );
}
