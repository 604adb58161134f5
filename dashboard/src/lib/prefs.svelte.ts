/** What this browser's user likes; kept in the browser, and nowhere else. */

export type Theme = "system" | "light" | "dark";

const KEY = "flotilla";
const usual = {
  theme: "system" as Theme,
  isColourBlind: false,
  isComfortable: false,
  isLocalTime: false,
  hasKeys: true,
  isGrouped: true,
};

function kept(): typeof usual {
  try {
    return { ...usual, ...JSON.parse(localStorage.getItem(KEY) ?? "{}") };
  } catch {
    return { ...usual };
  }
}

export const prefs = $state(kept());

/** Keeps them, and puts them on the page; to be called in an effect. */
export function applyPrefs(): void {
  const root = document.documentElement.dataset;
  if (prefs.theme === "system") delete root.theme;
  else root.theme = prefs.theme;
  root.colours = prefs.isColourBlind ? "blind" : "usual";
  root.rows = prefs.isComfortable ? "comfortable" : "dense";
  try {
    localStorage.setItem(KEY, JSON.stringify(prefs));
  } catch {
    // A browser that keeps nothing still shows the page.
  }
}

export function nextTheme(): void {
  const isDark =
    prefs.theme === "dark" || (prefs.theme === "system" && matchMedia("(prefers-color-scheme: dark)").matches);
  prefs.theme = isDark ? "light" : "dark";
}
