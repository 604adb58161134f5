/** What was asked of an engine and has not shown yet. It goes when the fleet tells of it, not when the request is answered. */

import { SvelteMap } from "svelte/reactivity";
import { fleet } from "./fleet.svelte";
import type { EngineRow } from "./rows";

const PATIENCE_MS = 20_000;

interface Pending {
  word: string;
  until: number;
  isSeen: (row: EngineRow) => boolean;
}

export const pending = new SvelteMap<string, Pending>();

export function asked(id: string, word: string, isSeen: Pending["isSeen"]): void {
  pending.set(id, { word, until: Date.now() + PATIENCE_MS, isSeen });
}

export function forget(id: string): void {
  pending.delete(id);
}

export function settle(): void {
  for (const [id, one] of pending) {
    const row = fleet.engines.get(id);
    if (!row || one.isSeen(row) || Date.now() > one.until) pending.delete(id);
  }
}
