/** What an engine made today (UTC), and how far it is below its highest, as far as either is known. */

import { less, totals } from "./decimal";
import type { EngineRow } from "./rows";

/** By currency, as profit and loss are; empty where the equity, or that of the day's beginning, is not known. */
export function todayOf(row: EngineRow): Record<string, string> {
  if (row.equity === null || row.day_equity === null || !row.equity_currency) return {};
  return { [row.equity_currency]: less(row.equity, row.day_equity) };
}

export interface Today {
  sums: [string, string][];
  /** Engines of which the equity is known, and not that of the day's beginning. */
  missing: number;
}

export function todaysOf(rows: EngineRow[]): Today {
  const missing = rows.filter((row) => row.equity !== null && row.day_equity === null).length;
  return { sums: totals(rows.map(todayOf)), missing };
}

/** The share of its highest equity that is lost; null where nobody keeps that, which is where no loss limit is set. */
export function drawdownOf(row: EngineRow): number | null {
  const { peak } = row.losses?.kept ?? {};
  const last = row.losses?.last;
  if (!peak || !last) return null;
  const [highest, now] = [Number(peak.equity), Number(last.equity)];
  return highest > 0 ? Math.max(0, (highest - now) / highest) : null;
}

/** `−1.8 %`; what is down is down. */
export function fallen(share: number | null): string {
  return share === null ? "–" : share < 0.0005 ? "0.0 %" : `−${(share * 100).toFixed(1)} %`;
}
