/** The fleet as it was told last. A row is one reactive object: a change redraws the cells that it names, and no others. */

import { SvelteMap } from "svelte/reactivity";
import { clock } from "./clock.svelte";
import type { Schemas } from "./api";
import type { AccountLine, AlertView, BacktestRow, EngineRow, HostRow, OrderLine, PositionLine, ServiceRow } from "./rows";
import { health } from "./words";

export type Change = Schemas["FleetChange"];
export type Snapshot = Schemas["FleetSnapshot"];
export interface Happening {
  key: number;
  at: number;
  id: string;
  word: string;
  mark: string;
  tone: string;
  why: string;
}

const TOPICS = ["engines", "orders", "positions", "accounts", "alerts", "hosts", "services", "backtests"] as const;
type Topic = (typeof TOPICS)[number];
type AnyRow = EngineRow | OrderLine | PositionLine | AccountLine | AlertView | HostRow | ServiceRow | BacktestRow;

export const fleet = {
  engines: new SvelteMap<string, EngineRow>(),
  orders: new SvelteMap<string, OrderLine>(),
  positions: new SvelteMap<string, PositionLine>(),
  accounts: new SvelteMap<string, AccountLine>(),
  alerts: new SvelteMap<string, AlertView>(),
  hosts: new SvelteMap<string, HostRow>(),
  services: new SvelteMap<string, ServiceRow>(),
  backtests: new SvelteMap<string, BacktestRow>(),
};
export const known = $state({ isHere: false, isComplete: false });

/** Changes of state, and fills, since the page was opened, the newest first. */
export const happenings = $state<Happening[]>([]);
const MOST_HAPPENINGS = 200;
let noted = 0;

/** Equity since the page was opened, for lines; no part of what is reactive. */
export const equity = new Map<string, [number[], number[]]>();
const MOST_POINTS = 3600;

function put(topic: Topic, id: string, fields: Record<string, unknown>): void {
  const map = fleet[topic] as SvelteMap<string, AnyRow>;
  const row = map.get(id);
  if (row) {
    const before = topic === "engines" ? health(row as EngineRow, clock.now).word : "";
    Object.assign(row, fields);
    if (topic === "engines") happened(row as EngineRow, before);
  } else {
    const made = $state(fields);
    map.set(id, made as unknown as AnyRow);
  }
}

function happened(row: EngineRow, before: string): void {
  const now = health(row, clock.now);
  if (now.word === before) return;
  note({ at: clock.now, id: row.instance_id, word: now.word.toLowerCase(), mark: now.mark, tone: now.tone, why: now.why });
}

export function note(one: Omit<Happening, "key">): void {
  happenings.unshift({ key: ++noted, ...one });
  if (happenings.length > MOST_HAPPENINGS) happenings.length = MOST_HAPPENINGS;
}

export function apply(changes: Change[]): void {
  for (const { topic, id, set } of changes) {
    if (!(topic in fleet)) continue;
    if (set === null) fleet[topic as Topic].delete(id);
    else put(topic as Topic, id, set);
  }
}

/** What is not in the snapshot is gone; rows that stay are the same objects. */
export function begin(snapshot: Snapshot): void {
  for (const topic of TOPICS) {
    const rows = snapshot[topic] ?? {};
    for (const id of [...fleet[topic].keys()]) if (!(id in rows)) fleet[topic].delete(id);
    for (const [id, row] of Object.entries(rows)) put(topic, id, row as unknown as Record<string, unknown>);
  }
  known.isHere = true;
}

/** Once a second, to be called while the link is up. */
export function noteEquity(): void {
  for (const [id, row] of fleet.engines) {
    if (row.equity === null) continue;
    const line = equity.get(id) ?? [[], []];
    line[0].push(Math.floor(clock.now / 1000));
    line[1].push(Number(row.equity));
    if (line[0].length > MOST_POINTS) line.forEach((part) => part.shift());
    equity.set(id, line);
  }
}
