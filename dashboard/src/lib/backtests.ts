/** Backtests: what their states and figures are called, and what a form asks for. */

import { ask, type Bodies, NAUTILUS, type Schemas } from "./api";
import { amount } from "./decimal";
import type { Bare } from "./draft";
import { type Parameters, type Texts, type Values, valuesOf } from "./parameters";
import type { Tone } from "./words";

export type Details = Schemas["BacktestDetails"];
export type Summary = Schemas["BacktestSummary"];
export type Metrics = Schemas["ShownMetrics"];
export type BacktestConfig = Schemas["BacktestConfig"];
export type Status = Schemas["BacktestStatus"];

const MARKS: Record<Status, [string, Tone]> = { pending: ["◌", "dim"], running: ["◐", "soft"], completed: ["●", "ok"], failed: ["■", "bad"], cancelled: ["○", "dim"] };
export const markOf = (status: string) => MARKS[status as Status] ?? ["◌", "dim"];
export const isOver = (status: string) => status === "completed" || status === "failed" || status === "cancelled";
export const backtest = (id: string) => `${NAUTILUS}/engine/backtest/${encodeURIComponent(id)}`;
export const ofResult = (id: string, path: string) => `${NAUTILUS}/backtests/${encodeURIComponent(id)}/${path}`;

/** `+12.3 %`; what is not defined is `–`. */
export function percent(share: number | null | undefined): string {
  if (share === null || share === undefined) return "–";
  const text = Math.abs(share * 100).toFixed(1);
  return `${text === "0.0" ? "" : share < 0 ? "−" : "+"}${text} %`;
}
export const toneOf = (share: number | null | undefined) => (!share ? "" : share > 0 ? "up" : "down");
const plainPercent = (share: number | null | undefined) => (share === null || share === undefined ? "–" : `${(share * 100).toFixed(1)} %`);
export const ratio = (value: number | null | undefined) => (value === null || value === undefined ? "–" : value.toFixed(2).replace("-", "−"));
const money = (value: number | null | undefined, currency: string) => (value === null || value === undefined ? "–" : `${amount(String(value), currency)} ${currency}`);

export interface Figure {
  name: string;
  of: (metrics: Metrics, currency: string) => string;
  tone?: (metrics: Metrics) => string;
}
export const FIGURES: Figure[] = [
  { name: "Return", of: (one) => percent(one.total_return), tone: (one) => toneOf(one.total_return) },
  { name: "Return a year", of: (one) => percent(one.annualized_return), tone: (one) => toneOf(one.annualized_return) },
  { name: "Sharpe", of: (one) => ratio(one.sharpe_ratio) },
  { name: "Sortino", of: (one) => ratio(one.sortino_ratio) },
  { name: "Calmar", of: (one) => ratio(one.calmar_ratio) },
  { name: "Volatility", of: (one) => plainPercent(one.volatility) },
  { name: "Max drawdown", of: (one) => percent(one.max_drawdown) },
  { name: "Longest drawdown", of: (one) => (one.max_drawdown_days === null ? "–" : `${Math.round(one.max_drawdown_days)} d`) },
  { name: "Final equity", of: (one, currency) => money(one.final_equity, currency) },
  { name: "Trades", of: (one) => String(one.total_trades) },
  { name: "Won", of: (one) => `${one.winning_trades} of ${one.total_trades}` },
  { name: "Win rate", of: (one) => plainPercent(one.win_rate) },
  { name: "Profit factor", of: (one) => ratio(one.profit_factor) },
  { name: "Average win", of: (one, currency) => money(one.average_win, currency) },
  { name: "Average loss", of: (one, currency) => money(one.average_loss, currency) },
  { name: "Largest win", of: (one, currency) => money(one.largest_win, currency) },
  { name: "Largest loss", of: (one, currency) => money(one.largest_loss, currency) },
];

/** All entries of a list of a result. */
export async function readPart<T>(id: string, part: Schemas["ResultPart"]): Promise<T[]> {
  const entries: T[] = [];
  for (let offset: number | null = 0; offset !== null; ) {
    const page: Schemas["PartReply"] = await ask("GET", ofResult(id, `results/${part}?offset=${offset}&limit=5000`));
    entries.push(...(page.entries as T[]));
    offset = page.next;
  }
  return entries;
}

export interface Curve {
  /** Seconds. */
  times: number[];
  equity: number[];
  /** Per cent, 0 or less. */
  falls: number[];
}

/** One value a second: of several moments within one, the last. */
export function curveOf(points: Schemas["CurvePoint"][]): Curve {
  const curve: Curve = { times: [], equity: [], falls: [] };
  for (const { timestamp, equity, drawdown } of points) {
    const at = Math.floor(Date.parse(timestamp) / 1000);
    const index = curve.times.at(-1) === at ? curve.times.length - 1 : curve.times.length;
    curve.times[index] = at;
    curve.equity[index] = equity;
    curve.falls[index] = -100 * drawdown;
  }
  return curve;
}

/** Several curves over one line of time, each from 100 on. */
export function overlaid(curves: Curve[]): { times: number[]; equity: (number | null)[][]; falls: (number | null)[][] } {
  const times = [...new Set(curves.flatMap((one) => one.times))].sort((a, b) => a - b);
  const at = new Map(times.map((time, index) => [time, index]));
  const spread = (curve: Curve, values: number[]) => {
    const line: (number | null)[] = Array.from({ length: times.length }, () => null);
    curve.times.forEach((time, index) => (line[at.get(time)!] = values[index]!));
    return line;
  };
  return {
    times,
    equity: curves.map((one) => spread(one, one.equity.map((value) => (100 * value) / one.equity[0]!))),
    falls: curves.map((one) => spread(one, one.falls)),
  };
}

/** The fields of a backtest, as text. */
export interface BacktestDraft {
  id: string;
  strategy: string;
  texts: Texts;
  instruments: string;
  barTypes: string;
  start: string;
  end: string;
  balance: string;
  currency: string;
  account: BacktestConfig["account_type"];
  leverage: string;
  commission: string;
  latency: string;
  slippage: string;
  seed: string;
  isWarm: boolean;
}

const listed = (text: string) => text.split(/[\s,]+/).filter(Boolean);

export function draftOfBacktest(config: BacktestConfig): Omit<BacktestDraft, "id" | "texts"> {
  return {
    strategy: config.strategy ?? "",
    instruments: config.instruments.join(", "),
    barTypes: config.bar_types.join(", "),
    start: config.start_date,
    end: config.end_date,
    balance: String(config.initial_balance),
    currency: config.base_currency ?? "",
    account: config.account_type,
    leverage: String(config.leverage),
    commission: config.commission === null ? "" : String(config.commission),
    latency: String(config.latency_ms),
    slippage: String(config.fill_model.prob_slippage),
    seed: String(config.seed),
    isWarm: config.warm_up,
  };
}

/** The body of the request, and what is wrong with which field. `before` is the configuration that the form was filled from. */
export function bodyOf(draft: BacktestDraft, before: BacktestConfig | null, parameters: Parameters): { body: Bodies["BacktestBody"]; problems: Texts } {
  const problems: Texts = {};
  const number = (field: string, text: string, otherwise: number): number => {
    const value = text.trim() === "" ? otherwise : Number(text);
    if (!Number.isFinite(value) || value < 0) problems[field] = "must be a number of 0 or more";
    return value;
  };
  const instruments = listed(draft.instruments);
  if (!/^[A-Za-z0-9_-]{1,100}$/.test(draft.id)) problems.backtest_id = "must be 1 to 100 letters, digits, _ and -";
  if (!instruments.length) problems.instruments = "needs one at least";
  if (!draft.start) problems.start_date = "is needed";
  if (!draft.end) problems.end_date = "is needed";
  const given = before?.strategy === draft.strategy ? (before.strategy_config as Values) : {};
  const { values, problems: found } = valuesOf(parameters, draft.texts, given);
  for (const [name, problem] of Object.entries(found)) problems[`strategy_config.${name}`] = problem;
  const config: Bodies["BacktestConfig"] = {
    ...(before as Bodies["BacktestConfig"] | null),
    ...(draft.strategy ? { strategy: draft.strategy, strategy_config: values as Bare } : {}),
    instruments,
    venues: [...new Set(instruments.map((one) => one.slice(one.lastIndexOf(".") + 1)))],
    bar_types: listed(draft.barTypes),
    start_date: draft.start,
    end_date: draft.end,
    initial_balance: number("initial_balance", draft.balance, 1_000_000),
    base_currency: draft.currency.trim().toUpperCase() || null,
    account_type: draft.account,
    leverage: number("leverage", draft.leverage, 1),
    commission: draft.commission.trim() ? number("commission", draft.commission, 0) : null,
    latency_ms: number("latency_ms", draft.latency, 0),
    fill_model: { ...(before?.fill_model ?? {}), prob_slippage: number("fill_model.prob_slippage", draft.slippage, 0) },
    seed: number("seed", draft.seed, 0),
    warm_up: draft.isWarm,
  };
  return { body: { backtest_id: draft.id, config }, problems };
}

/** `bt-20260131-142501`, as nobody else names theirs at the same second. */
export function newId(now: number): string {
  return `bt-${new Date(now).toISOString().slice(0, 19).replace(/[-:]/g, "").replace("T", "-")}`;
}
