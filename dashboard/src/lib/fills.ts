/** Fills as they happen, from the stream of events. One connection of its own, and only while a page that shows them is looked at: a browser
 * opens six to a host, over all of its tabs. */

import { NAUTILUS } from "./api";
import { printed } from "./decimal";
import { note } from "./fleet.svelte";

/** What is told of one; the events of streams have no types of their own. */
interface Fill {
  instrument_id: string;
  side: string;
  last_qty: string;
  last_px: string;
  is_restored: boolean;
}

export function told(fill: Fill): string {
  return `${printed(fill.last_qty)} ${fill.instrument_id} at ${printed(fill.last_px)}`;
}

function take(event: MessageEvent<string>): void {
  const { instance_id: id, at_ns, data } = JSON.parse(event.data) as { instance_id: string; at_ns: number; data: Fill };
  if (data.is_restored) return;
  const isBuy = data.side === "BUY";
  note({ at: at_ns / 1e6, id, word: isBuy ? "bought" : "sold", mark: isBuy ? "▲" : "▼", tone: isBuy ? "buy" : "sell", why: told(data) });
}

/** Follows until the function that it returns is called. */
export function followFills(): () => void {
  let source: EventSource | null = null;
  const look = () => {
    if (document.visibilityState !== "visible") {
      source?.close();
      source = null;
    } else if (source === null) {
      source = new EventSource(`${NAUTILUS}/stream?kinds=fill`);
      source.addEventListener("fill", take);
    }
  };
  look();
  document.addEventListener("visibilitychange", look);
  return () => {
    document.removeEventListener("visibilitychange", look);
    source?.close();
  };
}
