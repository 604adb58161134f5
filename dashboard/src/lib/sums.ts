/** What several engines have together, per currency. */

import { sum } from "./decimal";
import type { EngineRow } from "./rows";

const TRADES = new Set(["live", "paper", "sandbox"]);

export interface Equity {
  sums: [string, string][];
  /** Engines that are up, and whose equity is not known. */
  missing: number;
}

export function equityOf(rows: EngineRow[]): Equity {
  const found = new Map<string, string[]>();
  let missing = 0;
  for (const row of rows) {
    if (row.equity !== null && row.equity_currency) {
      found.set(row.equity_currency, [...(found.get(row.equity_currency) ?? []), row.equity]);
    } else if (TRADES.has(row.mode) && row.session_id !== null && row.ended_at === null) missing += 1;
  }
  const sums = [...found].map(([currency, values]): [string, string] => [currency, sum(values)]);
  return { sums: sums.sort(([a], [b]) => (a < b ? -1 : 1)), missing };
}
