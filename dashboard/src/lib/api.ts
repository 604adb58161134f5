/** The REST API: one function that asks, and one kind of failure that says what was and was not done. */

import type { components as ForBodies } from "../api/bodies";
import type { components } from "../api/replies";

/** As they are answered: what has a default is there. In a body it may be left out. */
export type Schemas = components["schemas"];
export type Bodies = ForBodies["schemas"];

export const API = "/api/v1";
export const NAUTILUS = `${API}/nautilus`;
const PATIENCE_MS = 30_000;

let csrf = "";
export function useCsrf(token: string): void {
  csrf = token;
}

/** Why it did not work. `isUnknown`: it was sent, and nobody can say whether it was done. */
export class Refusal extends Error {
  constructor(
    message: string,
    readonly code: string,
    readonly requestId: string,
    readonly body: Record<string, unknown> = {},
  ) {
    super(message);
  }
  get isUnknown(): boolean {
    return this.code === "outcome_unknown" || this.code === "no_answer";
  }
}

function newId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export async function ask<T>(method: string, path: string, body?: unknown, patience = PATIENCE_MS): Promise<T> {
  const requestId = newId();
  const isChange = method !== "GET";
  const headers: Record<string, string> = isChange ? { "Idempotency-Key": requestId, "X-CSRF-Token": csrf } : {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer: Response;
  let reply: Record<string, unknown>;
  try {
    answer = await fetch(path, {
      method,
      headers,
      body: body === undefined ? null : JSON.stringify(body),
      signal: AbortSignal.timeout(patience),
      cache: "no-store",
    });
    reply = await answer.json();
  } catch {
    const said = isChange ? "The gateway did not answer: whether this was done is not known." : "The gateway did not answer.";
    throw new Refusal(said, "no_answer", requestId);
  }
  if (!answer.ok) {
    throw new Refusal(String(reply.message ?? answer.statusText), String(reply.code ?? answer.status), requestId, reply);
  }
  return reply as T;
}

export function engine(id: string, verb = ""): string {
  return `${NAUTILUS}/engines/${encodeURIComponent(id)}${verb ? `/${verb}` : ""}`;
}

export function saidOf(error: unknown): string {
  return error instanceof Refusal ? error.message : String(error);
}
