/** Commands to engines: asked over REST, seen over the stream. */

import { ask, type Bodies, engine, Refusal, type Schemas } from "./api";
import { fleet } from "./fleet.svelte";
import { asked, forget } from "./pending.svelte";
import type { EngineRow } from "./rows";

export type Policy = "leave" | "cancel" | "flatten";
export type CommandReply = Schemas["CommandReply"];
export type Verb = "halt" | "reduce" | "resume" | "cancel-orders" | "flatten" | "accept";

const WORDS: Record<Verb, string> = {
  halt: "halt asked",
  reduce: "reduce asked",
  resume: "resume asked",
  "cancel-orders": "cancel asked",
  flatten: "flatten asked",
  accept: "accept asked",
};

async function command(id: string, verb: string, body: unknown, word: string, isSeen: (row: EngineRow) => boolean) {
  asked(id, word, isSeen);
  try {
    return await ask<CommandReply>("POST", engine(id, verb), body, 90_000);
  } catch (error) {
    if (!(error instanceof Refusal && error.isUnknown)) forget(id);
    throw error;
  }
}

export function stop(id: string, policy: Policy | "", isForced: boolean): Promise<CommandReply> {
  const body: Bodies["StopBody"] = { force: isForced, ...(policy ? { policy } : {}) };
  return command(id, "stop", body, "stop asked", (row) => row.desired === "stopped");
}

/** With `config` it is started with that, which is stored for it then; without, with what is stored. */
export function start(id: string, isLive: boolean, isRestart: boolean, config?: Bodies["EngineConfig"]): Promise<CommandReply> {
  const before = fleet.engines.get(id)?.session_id;
  const verb = isRestart ? "restart" : "start";
  const body: Bodies["StoredStartBody"] & Bodies["RestartBody"] = { confirm_live_trading: isLive, ...(config ? { config } : {}) };
  return command(id, verb, body, `${verb} asked`, (row) => row.session_id !== before);
}

/** Keeps a configuration for the next start; what runs is not touched. */
export function store(id: string, config: Bodies["EngineConfig"]): Promise<CommandReply> {
  const body: Bodies["ConfigBody"] = { config };
  return ask("PUT", engine(id, "config"), body);
}

/** Only halt, reduce and resume show in the row; what became of the others, the answer says. */
export async function brake(id: string, verb: Verb, body: Bodies["BrakeBody"] | Bodies["AcceptBody"] = {}): Promise<CommandReply> {
  const before = fleet.engines.get(id)?.brake?.number ?? 0;
  const reply = await command(id, verb, body, WORDS[verb], (row) => (row.brake?.number ?? 0) !== before);
  if (verb === "cancel-orders" || verb === "accept" || verb === "flatten") forget(id);
  return reply;
}
