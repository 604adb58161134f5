/** The time, as the gateway has it: ages are counted from its `at`, so that a wrong clock of this machine does not bend them. */

import { prefs } from "./prefs.svelte";

let skew = 0;

/** `now` moves twice a second, `second` once: what is sorted or summed goes by that. */
export const clock = $state({ now: Date.now(), second: 0 });

export function heardAt(at: string): void {
  skew = Date.parse(at) - Date.now();
}

export function now(): number {
  return Date.now() + skew;
}

export function startClock(): () => void {
  const timer = setInterval(() => {
    clock.now = now();
    const second = Math.floor(clock.now / 1000);
    if (second !== clock.second) clock.second = second;
  }, 500);
  return () => clearInterval(timer);
}

export function since(at: string | null | undefined): number | null {
  return at ? Math.max(0, clock.now - Date.parse(at)) : null;
}

/** `0.4 s`, `48 s`, `6 min`, `3 h`, `2 d`. */
export function span(ms: number): string {
  const s = ms / 1000;
  if (s < 9.95) return `${s.toFixed(1)} s`;
  if (s < 90) return `${Math.round(s)} s`;
  if (s < 5400) return `${Math.round(s / 60)} min`;
  if (s < 129_600) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86_400)} d`;
}

/** `6 h 17 min`. */
export function duration(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 1) return `${Math.floor(ms / 1000)} s`;
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 2880) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${Math.floor(minutes / 1440)} d ${Math.floor((minutes % 1440) / 60)} h`;
}

function parts(ms: number, isLocal: boolean): [string, string] {
  const date = new Date(ms);
  const offset = isLocal ? date.getTimezoneOffset() : 0;
  const text = new Date(ms - offset * 60_000).toISOString();
  return [text.slice(0, 10), text.slice(11, 19)];
}

function zone(ms: number, isLocal: boolean): string {
  if (!isLocal) return "UTC";
  const minutes = -new Date(ms).getTimezoneOffset();
  const sign = minutes < 0 ? "−" : "+";
  const at = Math.abs(minutes);
  return `UTC${sign}${Math.floor(at / 60)}${at % 60 ? `:${String(at % 60).padStart(2, "0")}` : ""}`;
}

export function time(at: string | number): string {
  return parts(typeof at === "number" ? at : Date.parse(at), prefs.isLocalTime)[1];
}

/** The day only where it is another one than today. */
export function moment(at: string | number): string {
  const ms = typeof at === "number" ? at : Date.parse(at);
  const [day, clockTime] = parts(ms, prefs.isLocalTime);
  return day === parts(clock.now, prefs.isLocalTime)[0] ? clockTime : `${day} ${clockTime}`;
}

export function zoneName(): string {
  return zone(clock.now, prefs.isLocalTime);
}

/** In UTC and local time, for who points at a time. */
export function bothZones(at: string | number): string {
  const ms = typeof at === "number" ? at : Date.parse(at);
  return [false, true].map((isLocal) => `${parts(ms, isLocal).join(" ")} ${zone(ms, isLocal)}`).join("\n");
}
