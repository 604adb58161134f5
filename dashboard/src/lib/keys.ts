/** Keys that work everywhere. None does harm by itself, and none works while somebody types. */

import { open } from "./dialogs.svelte";
import { nextTheme, prefs } from "./prefs.svelte";
import { go, route, type Page } from "./route.svelte";

export const KEYS: [string, string][] = [
  ["/ or Ctrl K", "find an engine or a page"],
  ["g f, g l, g n, g b, g h, g a, g d", "go to Fleet, Ledger, Start, Backtests, Hosts, Alerts, Audit"],
  ["g s, g m, g o, g c", "go to Studies, Data, Logs, Doctor"],
  ["j, k", "next and previous engine"],
  ["Enter", "open the engine"],
  ["x", "select the engine"],
  ["s", "stop what is selected, or the engine: a dialog asks first"],
  ["f", "follow the log"],
  ["t", "light or dark"],
  ["?", "these keys"],
  ["Esc", "close, or back to the fleet"],
];
const PLACES: Record<string, Page> = { f: "fleet", l: "ledger", n: "start", h: "hosts", b: "backtests", a: "alerts", d: "audit", s: "studies", m: "data", o: "logs", c: "doctor" };

let isGoing = false;

export function isTyping(event: KeyboardEvent): boolean {
  const target = event.target as HTMLElement;
  return target.isContentEditable || /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName);
}

/** By what is on the page: a dialog that is closed tells of it a moment later. */
function hasDialog(): boolean {
  return document.querySelector("dialog[open]") !== null;
}

export function isPlain(event: KeyboardEvent): boolean {
  return prefs.hasKeys && !isTyping(event) && !event.ctrlKey && !event.metaKey && !event.altKey && !hasDialog();
}

export function onKey(event: KeyboardEvent): void {
  const isFind = event.key === "k" && (event.ctrlKey || event.metaKey) && !hasDialog();
  if (isFind || (isPlain(event) && event.key === "/")) {
    event.preventDefault();
    return open({ kind: "find" });
  }
  if (!isPlain(event)) return;
  const place = isGoing ? PLACES[event.key] : undefined;
  isGoing = event.key === "g";
  if (place) return go(place);
  if (event.key === "t") nextTheme();
  else if (event.key === "?") open({ kind: "keys" });
  else if (event.key === "Escape" && route.page !== "fleet") go("fleet");
}
