/** The filter as text: `mode:live state:failed host:ny-1 desk=rates cross`. All of its words have to fit. */

import type { EngineRow } from "./rows";
import { health, subtitle } from "./words";

const FIELDS: Record<string, (row: EngineRow, now: number) => string[]> = {
  mode: (row) => [row.mode],
  state: (row, now) => [health(row, now).word, row.run_state ?? "", row.state],
  host: (row) => [row.host ?? ""],
  venue: (row) => row.venues,
  template: (row) => [row.template ?? ""],
  strategy: (row) => Object.keys(row.strategies),
};

export type Test = (row: EngineRow, now: number) => boolean;

export function filterOf(text: string): Test {
  const tests = text.toLowerCase().split(/\s+/).filter(Boolean).map(testOf);
  return (row, now) => tests.every((test) => test(row, now));
}

function testOf(word: string): Test {
  const [, name = "", value = ""] = /^(\w+):(.*)$/.exec(word) ?? [];
  const read = FIELDS[name];
  if (read) return (row, now) => read(row, now).some((one) => one.toLowerCase().includes(value));
  const [label = "", wanted] = word.split("=");
  if (wanted !== undefined) return (row) => (row.labels[label] ?? "").toLowerCase().startsWith(wanted);
  if (word === "problems") return (row, now) => health(row, now).gravity > 0;
  return (row) => `${row.instance_id} ${subtitle(row)} ${row.venues.join(" ")}`.toLowerCase().includes(word);
}
