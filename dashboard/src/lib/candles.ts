/** Candles of the catalog, and what was done at them. */

import { NAUTILUS, ask, type Schemas } from "./api";

export interface Candle {
  /** Seconds; when it was over. */
  time: number;
  open: number;
  high: number;
  low: number;
  close: number;
}
/** An execution. */
export interface Deed {
  /** Seconds. */
  at: number;
  isBuy: boolean;
  price: number;
  quantity: number;
}
/** All executions of one side within a candle. */
export interface Mark {
  time: number;
  isBuy: boolean;
  count: number;
  quantity: number;
  /** The average, by quantity. */
  price: number;
}
export interface DataSet {
  type: string;
  identifier: string;
  /** ISO 8601. */
  start: string;
  end: string;
}
/** ISO 8601, both included; null where there is no bound. */
export type Span = [from: string | null, to: string | null];
export interface Drawn {
  candles: Candle[];
  /** Seconds that each is of; null where they are the bars of the catalog. */
  bucketS: number | null;
}

type Chart = Schemas["Chart"];
/** As many as the gateway gives at once. */
const PAGE = 2_000;
/** As many bars as are shown one by one; of more, each candle is of several. */
export const MOST_CANDLES = 5_000;
/** What has a price, the best first. */
const KINDS = ["bars", "trades", "quotes", "mark_prices", "index_prices"];

/** The data sets of an instrument that can be drawn: the bars of the longest range first. */
export function setsOf(catalog: Schemas["CatalogSummary"], instrument: string): DataSet[] {
  const found = KINDS.flatMap((type) =>
    Object.entries(catalog.ranges[type] ?? {})
      .filter(([identifier]) => (type === "bars" ? identifier.startsWith(`${instrument}-`) : identifier === instrument))
      .map(([identifier, range]) => ({ type, identifier, start: range.start, end: range.end })),
  );
  const length = (one: DataSet) => Date.parse(one.end) - Date.parse(one.start);
  return found.sort((a, b) => KINDS.indexOf(a.type) - KINDS.indexOf(b.type) || length(b) - length(a));
}

async function read(set: DataSet, [from, to]: Span): Promise<Chart> {
  const query = new URLSearchParams({ identifier: set.identifier, type: set.type, points: String(PAGE), ...(from ? { from } : {}), ...(to ? { to } : {}) });
  return (await ask<Schemas["ChartReply"]>("GET", `${NAUTILUS}/catalog/bars?${query}`)).chart;
}

/** The candles of a time. Where there are not too many bars they are read piece by piece, else the gateway makes one of several. */
export async function readCandles(set: DataSet, span: Span): Promise<Drawn> {
  const whole = await read(set, span);
  if (!whole.is_down_sampled || set.type !== "bars" || whole.events > MOST_CANDLES) return { candles: candlesOf(whole.points), bucketS: whole.bucket_s };
  const pieces = await Promise.all(piecesOf(whole.points, span).map((piece) => read(set, piece)));
  return { candles: candlesOf(pieces.flatMap((one) => one.points)), bucketS: pieces.find((one) => one.bucket_s !== null)?.bucket_s ?? null };
}

/** Spans with no more than a page of events each. One ends where the next begins: moments are told to the microsecond, and data may be finer. */
export function piecesOf(points: Chart["points"], [from, to]: Span): Span[] {
  const pieces: Span[] = [];
  let events = 0;
  for (const one of points) {
    if (!pieces.length) pieces.push([from, to]);
    else if (events + one.events > PAGE) {
      pieces.at(-1)![1] = one.first;
      pieces.push([one.first, to]);
      events = 0;
    }
    events += one.events;
  }
  return pieces;
}

/** In order and one a second: what came more often is one candle. */
export function candlesOf(points: Chart["points"]): Candle[] {
  const candles: Candle[] = [];
  for (const { last, open, high, low, close } of points) {
    const time = Math.floor(Date.parse(last) / 1000);
    const before = candles.at(-1);
    if (before?.time === time) {
      Object.assign(before, { high: Math.max(before.high, high), low: Math.min(before.low, low), close });
    } else candles.push({ time, open, high, low, close });
  }
  return candles;
}

/** The first candle that was over at a time or later; -1 where there is none. */
export function candleAt(candles: Candle[], at: number): number {
  let [low, high] = [0, candles.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (candles[middle]!.time < Math.floor(at)) low = middle + 1;
    else high = middle;
  }
  return low < candles.length ? low : -1;
}

/** One mark for each candle and side; and how many were before or after all candles. */
export function marksOf(candles: Candle[], deeds: Deed[]): { marks: Mark[]; outside: number } {
  const found = new Map<string, Mark>();
  const width = candles.length > 1 ? candles[1]!.time - candles[0]!.time : 0;
  const begins = (candles[0]?.time ?? Infinity) - width;
  let outside = 0;
  for (const { at, isBuy, price, quantity } of deeds) {
    const candle = candles[candleAt(candles, at)];
    if (!candle || at < begins) {
      outside += 1;
      continue;
    }
    const key = `${candle.time} ${isBuy}`;
    const mark = found.get(key) ?? { time: candle.time, isBuy, count: 0, quantity: 0, price: 0 };
    mark.price = (mark.price * mark.quantity + price * quantity) / (mark.quantity + quantity);
    mark.quantity += quantity;
    mark.count += 1;
    found.set(key, mark);
  }
  return { marks: [...found.values()].sort((a, b) => a.time - b.time), outside };
}

/** One mark for so many candles and each side, where they would be too many to be told apart; it stands at the first that had one. */
export function thinned(marks: Mark[], candles: Candle[], step: number): Mark[] {
  if (step <= 1) return marks;
  const found = new Map<string, Mark>();
  for (const mark of marks) {
    const key = `${Math.floor(candleAt(candles, mark.time) / step)} ${mark.isBuy}`;
    if (!found.has(key)) found.set(key, mark);
  }
  return [...found.values()];
}

/** Digits behind the point that prices have. */
export function digitsOf(candles: Candle[]): number {
  const digits = candles.slice(-100).flatMap((one) => [one.open, one.close]).map((price) => String(price).split(".")[1]?.length ?? 0);
  return Math.min(8, Math.max(0, ...digits));
}
