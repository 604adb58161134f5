/** The stream of the fleet: one WebSocket, resumed where it left off. Silence counts as lost, whatever the socket says. */

import { NAUTILUS, type Schemas } from "./api";
import { clock, heardAt, now } from "./clock.svelte";
import { apply, begin, type Change, known, noteEquity, type Snapshot } from "./fleet.svelte";
import { settle } from "./pending.svelte";
import { look, session, topicsSeen } from "./session.svelte";

const SILENCE_MS = 2_500;
const DRAW_MS = 400;

type Message = Snapshot | Schemas["FleetChanges"] | Schemas["FleetBeat"] | Schemas["FleetEnd"];

/** `lost` stays until data comes: a word that flips with each try is missed by eyes. */
export const link = $state({ is: "connecting" as "connecting" | "live" | "lost", at: 0, lostAt: 0, why: "" });

let socket: WebSocket | null = null;
let boot = "";
let number = -1;
let heard = 0;
let failures = 0;
let retry: ReturnType<typeof setTimeout> | undefined;
let waiting: Change[] = [];
let drawn = 0;
let isWanted = false;

function connect(): void {
  clearTimeout(retry);
  const topics = topicsSeen();
  const after = boot ? `&after=${encodeURIComponent(`${boot}-${number}`)}` : "";
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const made = new WebSocket(`${scheme}://${location.host}${NAUTILUS}/fleet/ws?topics=${topics}${after}`);
  socket = made;
  heard = Date.now();
  made.onmessage = (event) => socket === made && take(JSON.parse(event.data as string) as Message);
  made.onclose = () => socket === made && drop("the gateway closed the connection");
}

function take(message: Message): void {
  heard = Date.now();
  if (message.kind === "end") return drop(message.reason);
  heardAt(message.at);
  known.isComplete = message.is_complete;
  if (message.kind === "snapshot") {
    waiting = [];
    ({ boot, number } = message);
    begin(message);
  } else {
    if (message.kind === "changes" && message.number > number) {
      number = message.number;
      waiting.push(...message.changes);
    }
  }
  failures = 0;
  link.at = now();
  if (link.is !== "live") Object.assign(link, { is: "live", why: "" });
}

/** Numbers that move more than twice a second are not read by anybody. */
function draw(): void {
  if (!waiting.length || Date.now() - drawn < DRAW_MS) return;
  drawn = Date.now();
  const changes = waiting;
  waiting = [];
  apply(changes);
  settle();
}

/** Not by close() alone: a browser waits for the other side's answer to that, and a frozen one gives none. */
function drop(why: string): void {
  const left = socket;
  socket = null;
  left?.close();
  if (link.is === "live") Object.assign(link, { is: "lost", lostAt: link.at, why });
  const wait = Math.min(5_000, 250 * 2 ** failures) * (0.75 + Math.random() / 2);
  failures = Math.min(failures + 1, 6);
  retry = setTimeout(reconnect, wait);
}

/** A refused WebSocket does not say why: the session does. Where that is over, the link begins anew once somebody has signed in. */
async function reconnect(): Promise<void> {
  await look();
  if (isWanted && session.standing === "in") connect();
}

function atOnce(): void {
  if (document.visibilityState === "visible" && socket === null && session.standing === "in") {
    failures = 0;
    connect();
  }
}

/** Keeps the link until the function that it returns is called. */
export function startLink(): () => void {
  isWanted = true;
  connect();
  const timer = setInterval(() => {
    draw();
    if (socket && Date.now() - heard > SILENCE_MS) drop("nothing was heard of the gateway");
  }, 200);
  const lines = setInterval(() => link.is === "live" && noteEquity(), 1_000);
  addEventListener("online", atOnce);
  document.addEventListener("visibilitychange", atOnce);
  return () => {
    isWanted = false;
    clearInterval(timer);
    clearInterval(lines);
    clearTimeout(retry);
    removeEventListener("online", atOnce);
    document.removeEventListener("visibilitychange", atOnce);
    const left = socket;
    socket = null;
    left?.close();
  };
}

export function linkAge(): number {
  return Math.max(0, clock.now - link.at);
}
