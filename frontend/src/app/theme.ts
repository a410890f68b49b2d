// Color theme: the system's, or the one that the creator chose.
import { createPreference } from "@/storage/preferences";

export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

const system = window.matchMedia("(prefers-color-scheme: dark)");
export const themePreference = createPreference<Theme>("theme", "system", (value) =>
  THEMES.includes(value as Theme),
);

/** Show the chosen theme, and follow the system's and the creator's changes. */
export function applyTheme(): void {
  const show = () => {
    const theme = themePreference.get();
    const dark = theme === "dark" || (theme === "system" && system.matches);
    document.documentElement.dataset.theme = dark ? "dark" : "light";
  };
  system.addEventListener("change", show);
  themePreference.subscribe(show);
  show();
}
