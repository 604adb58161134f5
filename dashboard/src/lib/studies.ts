/** What came of a study: its parameters and figures, as a table or a map of two of them has them. */

import type { Schemas } from "./api";

export type Study = Schemas["StudySummary"];
export type Member = Schemas["BacktestSummary"];
export type Value = string | number | boolean | null;

export const FIGURES: Record<string, [string, "share" | "ratio" | "count"]> = {
  sharpe_ratio: ["Sharpe ratio", "ratio"], sortino_ratio: ["Sortino ratio", "ratio"], calmar_ratio: ["Calmar ratio", "ratio"],
  total_return: ["return", "share"], annualized_return: ["return a year", "share"], volatility: ["volatility a year", "share"],
  max_drawdown: ["max drawdown", "share"], win_rate: ["won", "share"], profit_factor: ["profit factor", "ratio"], total_trades: ["trades", "count"],
};
/** Of these, less is better; of all others, more: a drawdown is a negative number. */
const LESS_IS_BETTER = new Set(["volatility", "max_drawdown_days"]);

export function nameOf(figure: string): string {
  return FIGURES[figure]?.[0] ?? figure.replaceAll("_", " ");
}

/** As a heading. */
export function titleOf(figure: string): string {
  const name = nameOf(figure);
  return name.slice(0, 1).toUpperCase() + name.slice(1);
}

export function written(figure: string, value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  const kind = FIGURES[figure]?.[1] ?? "ratio";
  const text = kind === "share" ? `${(Math.abs(value) * 100).toFixed(1)} %` : kind === "count" ? Math.abs(value).toLocaleString("en-US") : Math.abs(value).toFixed(2);
  return value < 0 && /[1-9]/.test(text) ? `−${text}` : text;
}

/** What a backtest was given of an axis; `1.size` is `size` of the second of its strategies. */
export function given(member: Member, axis: string): Value {
  const of = /^(\d+)\.(.+)$/.exec(axis);
  const strategy = of ? member.config.strategies?.[Number(of[1])] : undefined;
  const parameters: Record<string, unknown> = of ? (strategy?.template ? strategy.parameters : strategy?.config) ?? {} : (member.config.strategy_config ?? {});
  return (parameters[of?.[2] ?? axis] ?? null) as Value;
}

export function figureOf(member: Member, figure: string): number | null {
  const metrics = member.results?.metrics as Record<string, number | null> | undefined;
  return metrics?.[figure] ?? null;
}

/** Whether less of a figure is better, as the study that seeks it says. */
export function isLowBest(study: Study, figure: string): boolean {
  return figure === study.config.best_by ? (study.config.lowest ?? false) : LESS_IS_BETTER.has(figure);
}

export function ranked(members: Member[], figure: string, isLow: boolean): Member[] {
  const sign = isLow ? 1 : -1;
  return members.filter((one) => figureOf(one, figure) !== null).sort((a, b) => sign * (figureOf(a, figure)! - figureOf(b, figure)!));
}

export interface Cell {
  best: Member | null;
  value: number | null;
  count: number;
}

export interface HeatMap {
  across: Value[];
  down: Value[];
  cells: Cell[][];
}

const inOrder = (values: Value[]) => [...new Set(values)].sort((a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true })));

/** In each field the best of all that share its two values. */
export function heatOf(members: Member[], across: string, down: string, figure: string, isLow: boolean): HeatMap {
  const columns = inOrder(members.map((one) => given(one, across)));
  const rows = inOrder(members.map((one) => given(one, down)));
  const best = ranked(members, figure, isLow);
  const cells = rows.map((row) =>
    columns.map((column) => {
      const isHere = (one: Member) => given(one, across) === column && given(one, down) === row;
      const found = best.find(isHere) ?? null;
      return { best: found, value: found && figureOf(found, figure), count: members.filter(isHere).length };
    }),
  );
  return { across: columns, down: rows, cells };
}
