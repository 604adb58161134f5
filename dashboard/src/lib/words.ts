/** What a row means, in the field's words: a mark, a word, a colour, and why. */

import type { EngineRow, ServiceRow } from "./rows";

export type Tone = "ok" | "warn" | "bad" | "soft" | "dim";
export interface Health {
  mark: string;
  word: string;
  tone: Tone;
  why: string;
  /** Somebody should look: 2 soon, 1 when there is time, 0 not. */
  gravity: 0 | 1 | 2;
  isUp: boolean;
}

/** As long as the gateway calls an engine healthy that is not heard. */
export const UNHEARD_MS = 5_000;
const STARTING = new Set(["scheduled", "creating", "booting", "connecting", "reconciling"]);

const said = (mark: string, word: string, tone: Tone, why: string, gravity: 0 | 1 | 2, isUp = true): Health => ({
  mark, word, tone, why, gravity, isUp,
});

export function health(row: EngineRow, now: number): Health {
  const state = row.run_state;
  const why = row.problems[0] ?? row.detail ?? "";
  if (state === null) return said("○", "Never ran", "dim", "", 0, false);
  if (state === "failed") return failed(row, now);
  if (state === "completed") return said("○", "Completed", "dim", "", 0, false);
  if (state === "stopped") {
    const open = row.not_confirmed[0];
    return open ? said("▲", "Stopped", "warn", `not confirmed: ${open}`, 1, false) : said("○", "Stopped", "dim", "", 0, false);
  }
  if (state === "unknown") return said("◌", "Unknown", "dim", why || "its host is out of sight", 2);
  if (state === "stopping") return said("◐", "Stopping", "soft", why, 0);
  if (STARTING.has(state)) return said("◐", "Starting", "soft", why || state, 0);
  if (state === "silent") return said("◌", "Silent", "bad", why || "its container is up, nothing is heard of it", 2);
  if (row.heard_at && now - Date.parse(row.heard_at) > UNHEARD_MS) return said("◌", "Unknown", "dim", "not heard", 1);
  if (state === "mismatch") return said("▲", "Mismatch", "bad", why || "it and its venue do not agree", 2);
  if (row.is_frozen) return said("▲", "Frozen", "bad", "its loop does not turn", 2);
  if (row.brake !== null) return braked(row);
  if (state === "impaired") return said("▲", "Not trading", "warn", why, 2);
  if (row.trading_hours && !row.trading_hours.is_open) return said("●", "Trading", "ok", "outside its hours: it only reduces", 0);
  return said("●", "Trading", "ok", row.notes[0] ?? "", 0);
}

/** Its brake is one of its problems; another one is worse, since nobody asked for that. */
function braked(row: EngineRow): Health {
  const word = row.brake?.brake === "halted" ? "Halted" : "Reducing";
  const others = row.problems.filter((one) => !/halted|reduc/i.test(one));
  return said("▲", word, "warn", others[0] ?? (row.brake?.by ? `by ${row.brake.by}` : ""), others.length ? 2 : 1);
}

function failed(row: EngineRow, now: number): Health {
  const why = [row.reason, row.detail].filter(Boolean).join(": ");
  if (row.restart_at === null) return said("■", "Failed", "bad", why, 2, false);
  const seconds = Math.max(0, Math.round((Date.parse(row.restart_at) - now) / 1000));
  return said("■", "Failed", "bad", `retry in ${seconds} s${why ? ` · ${why}` : ""}`, 2, false);
}

/** What an operator wants of it, where it is not so. */
export function wanted(row: EngineRow, isUp: boolean): string {
  if (row.desired === "running" && !isUp) return row.stop_flag ? "emergency stop in force" : "wanted running";
  if (row.desired === "stopped" && isUp && row.run_state !== "stopping") return "wanted stopped";
  return row.stop_flag && !isUp ? "emergency stop in force" : "";
}

export function subtitle(row: EngineRow): string {
  const names = [...new Set(Object.keys(row.strategies).map((name) => name.replace(/-\d+$/, "")))];
  return names.slice(0, 2).join(", ") || row.template || "";
}

/** Of a service that says once a second how it is. */
export function serviceState(row: ServiceRow, now: number): { mark: string; word: string; tone: Tone } {
  if (row.heard_at && now - Date.parse(row.heard_at) > UNHEARD_MS) return { mark: "◌", word: "Not heard", tone: "warn" };
  return row.is_ready ? { mark: "●", word: "Ready", tone: "ok" } : { mark: "■", word: "Not ready", tone: "bad" };
}

export function bytes(count: number): string {
  if (count < 1 << 20) return `${Math.ceil(count / 2 ** 10)} KB`;
  return count >= 1 << 30 ? `${(count / 2 ** 30).toFixed(1)} GB` : `${Math.round(count / 2 ** 20)} MB`;
}

export function many(count: number, one: string, more = `${one}s`): string {
  return `${count} ${count === 1 ? one : more}`;
}
