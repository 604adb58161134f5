/** Which engines are shown, in which order, in which groups. Made at most once a second: rows that jump are not read. */

import { drawdownOf, type Today, todayOf, todaysOf } from "./day";
import { totals } from "./decimal";
import type { Test } from "./filter";
import { type EngineRow, type Mode, MODES } from "./rows";
import { type Equity, equityOf } from "./sums";
import { health } from "./words";

export interface Sort {
  by: string;
  isDown: boolean;
}
export interface Group {
  mode: Mode;
  count: number;
  equity: Equity;
  today: Today;
  unrealised: [string, string][];
}
export type Item = { key: string; row: EngineRow; group?: undefined } | { key: string; group: Group; row?: undefined };

type Value = string | number | null;
const first = (values: Record<string, string>): Value => {
  const text = Object.values(values)[0];
  return text === undefined ? null : Number(text);
};
const at = (text: string | null): Value => (text ? -Date.parse(text) : null);

/** What a column is sorted by. */
export const VALUES: Record<string, (row: EngineRow, now: number) => Value> = {
  engine: (row) => row.instance_id,
  state: (row, now) => -health(row, now).gravity * 10 - (health(row, now).isUp ? 1 : 0),
  feed: (row) => at(row.fed_at),
  beat: (row) => at(row.heard_at),
  equity: (row) => (row.equity === null ? null : Number(row.equity)),
  today: (row) => first(todayOf(row)),
  drawdown: (row) => drawdownOf(row),
  realised: (row) => first(row.realized_pnl),
  unrealised: (row) => first(row.unrealized_pnl),
  orders: (row) => row.orders_open,
  positions: (row) => row.positions_open,
  restarts: (row) => row.restarts,
  cpu: (row) => row.cpu_fraction,
  host: (row) => row.host,
};

export function parseSort(text: string | undefined): Sort[] {
  const sorts = (text ?? "").split(",").filter(Boolean);
  return sorts.map((one) => ({ by: one.replace(/^-/, ""), isDown: one.startsWith("-") })).filter((one) => one.by in VALUES);
}

/** A click sorts by it, another one the other way round, a third not; `isMore` keeps what it was sorted by. */
export function clicked(sorts: Sort[], by: string, isMore: boolean): string {
  const now = sorts.find((one) => one.by === by);
  const kept = isMore ? sorts.filter((one) => one.by !== by) : [];
  const next = now === undefined ? [{ by, isDown: false }] : now.isDown ? [] : [{ by, isDown: true }];
  return [...kept, ...next].map((one) => (one.isDown ? "-" : "") + one.by).join(",");
}

function compare(a: Value, b: Value): number {
  if (a === b) return 0;
  if (a === null) return 1;
  if (b === null) return -1;
  return a < b ? -1 : 1;
}

/** `held` is the order that stays, for who points at a row. */
export function ordered(rows: EngineRow[], test: Test, sorts: Sort[], held: string[] | null, now: number): EngineRow[] {
  const shown = rows.filter((row) => test(row, now));
  if (held) {
    const places = new Map(held.map((id, index) => [id, index]));
    const place = (row: EngineRow) => places.get(row.instance_id) ?? held.length;
    return shown.sort((a, b) => place(a) - place(b));
  }
  const keyed = shown.map((row) => ({ row, values: sorts.map((sort) => VALUES[sort.by]!(row, now)) }));
  keyed.sort((a, b) => {
    for (const [index, sort] of sorts.entries()) {
      const [one, other] = [a.values[index]!, b.values[index]!];
      const order = compare(one, other);
      if (order) return sort.isDown && one !== null && other !== null ? -order : order;
    }
    return a.row.instance_id < b.row.instance_id ? -1 : 1;
  });
  return keyed.map((one) => one.row);
}

export function grouped(rows: EngineRow[], isGrouped: boolean): Item[] {
  const items: Item[] = [];
  for (const mode of isGrouped ? MODES : []) {
    const those = rows.filter((row) => row.mode === mode);
    if (!those.length) continue;
    items.push({ key: `group ${mode}`, group: groupOf(mode, those) });
    items.push(...those.map((row) => ({ key: row.instance_id, row })));
  }
  return isGrouped ? items : rows.map((row) => ({ key: row.instance_id, row }));
}

function groupOf(mode: Mode, rows: EngineRow[]): Group {
  return {
    mode,
    count: rows.length,
    equity: equityOf(rows),
    today: todaysOf(rows),
    unrealised: totals(rows.map((row) => row.unrealized_pnl)),
  };
}
