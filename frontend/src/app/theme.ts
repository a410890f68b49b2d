// Color theme: the system's, or the one that the creator chose.
import { createPreference } from "@/storage/preferences";

export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

export const themePreference = createPreference<Theme>("theme", "system", (value) =>
  THEMES.includes(value as Theme),
);

/** Show the chosen theme, and follow the creator's changes. Without a choice, the style sheet follows the system. */
export function applyTheme(): void {
  const show = () => {
    document.documentElement.dataset.theme = themePreference.get();
  };
  themePreference.subscribe(show);
  show();
}
