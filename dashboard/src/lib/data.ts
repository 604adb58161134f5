/** What the catalog holds, as a list. */

import type { Schemas } from "./api";

export interface DataSet {
  type: string;
  identifier: string;
  start: number;
  end: number;
  files: number;
  size: number;
}

export function setsOf(catalog: Schemas["CatalogSummary"]): DataSet[] {
  return Object.entries(catalog.ranges).flatMap(([type, ranges]) =>
    Object.entries(ranges).map(([identifier, one]) => ({
      type, identifier, start: Date.parse(one.start), end: Date.parse(one.end), files: one.files, size: one.size_bytes,
    })),
  );
}

/** Data are of UTC, whatever zone is shown elsewhere. */
export const inDay = (at: number) => (Number.isFinite(at) ? new Date(at).toISOString().slice(0, 10) : "–");
export const inMinute = (at: string) => new Date(at).toISOString().slice(0, 16).replace("T", " ");

/** `1.0 s`, `5 min`, `1 d`. */
export function length(seconds: number): string {
  if (seconds < 90) return `${Number(seconds.toFixed(1))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129_600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}
