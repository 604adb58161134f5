/** Alerts: what they mean to who looks, and what can be done about them. */

import { API, ask, type Bodies, type Schemas } from "./api";
import type { AlertView } from "./rows";
import type { Tone } from "./words";

export const ALERTS = `${API}/alerts`;
export const SEVERITIES = ["critical", "warning", "info"] as const;
export type Severity = (typeof SEVERITIES)[number];
const MARKS: Record<Severity, [string, Tone]> = { critical: ["■", "bad"], warning: ["▲", "warn"], info: ["●", "soft"] };

export const markOf = (severity: Severity) => MARKS[severity][0];
export const toneOf = (severity: Severity) => MARKS[severity][1];
export const nameOf = (alert: AlertView) => (alert.code || alert.rule).replaceAll("_", " ");
export const isTaken = (alert: AlertView) => alert.acknowledged_by !== "";

/** Those that nobody has taken on first, the gravest of these before, then the newest. */
export function inOrder(alerts: Iterable<AlertView>): AlertView[] {
  const weight = (one: AlertView) => Number(isTaken(one)) * 3 + SEVERITIES.indexOf(one.severity);
  return [...alerts].sort((a, b) => weight(a) - weight(b) || (a.opened_at < b.opened_at ? 1 : -1));
}

export function acknowledge(id: string, note = ""): Promise<Schemas["AlertReply"]> {
  const body: Bodies["AckBody"] = { note };
  return ask("POST", `${ALERTS}/${id}/ack`, body);
}
