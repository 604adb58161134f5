/** The pages by name, and who sees which. */

import { isTaken } from "./alerts";
import { fleet } from "./fleet.svelte";
import { PAGES, route } from "./route.svelte";
import { may, seesAll } from "./session.svelte";

type Place = (typeof PAGES)[number];

export const NAMES: Record<Place, string> = { fleet: "Fleet", ledger: "Ledger", start: "Start", backtests: "Backtests", hosts: "Hosts", alerts: "Alerts", audit: "Audit" };

export function places(): Place[] {
  return PAGES.filter((page) => (page === "audit" ? may("admin") : page === "alerts" ? seesAll() : page === "start" ? may("trader") : true));
}

export function here(): Place {
  return route.page === "engine" ? "fleet" : route.page;
}

/** What is to be counted beside its name. */
export function countOf(page: Place): number {
  return page === "alerts" ? [...fleet.alerts.values()].filter((one) => !isTaken(one)).length : 0;
}
