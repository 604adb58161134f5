/** The pages by name, and who sees which. */

import { isTaken } from "./alerts";
import { fleet } from "./fleet.svelte";
import { PAGES, route } from "./route.svelte";
import { may, seesAll } from "./session.svelte";

type Place = (typeof PAGES)[number];

export const NAMES: Record<Place, string> = {
  fleet: "Fleet", ledger: "Ledger", start: "Start", backtests: "Backtests", studies: "Studies", data: "Data", logs: "Logs", hosts: "Hosts", alerts: "Alerts", audit: "Audit", doctor: "Doctor",
};
/** Who is told of what each of them shows; of those that are not here, everybody. */
const SEEN_BY: Partial<Record<Place, () => boolean>> = {
  start: () => may("trader"), studies: seesAll, data: seesAll, logs: () => may("viewer"), alerts: seesAll, audit: () => may("admin"), doctor: seesAll,
};

export function places(): Place[] {
  return PAGES.filter((page) => SEEN_BY[page]?.() ?? true);
}

export function here(): Place {
  return route.page === "engine" ? "fleet" : route.page;
}

/** What is to be counted beside its name. */
export function countOf(page: Place): number {
  return page === "alerts" ? [...fleet.alerts.values()].filter((one) => !isTaken(one)).length : 0;
}
