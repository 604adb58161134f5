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

/** Sends a file as it is; `told` hears which share of it is on its way. Its id is that of the request. */
export function upload<T>(path: string, file: Blob, told: (share: number) => void): Promise<T> {
  const requestId = newId();
  return new Promise((done, failed) => {
    const sent = new XMLHttpRequest();
    sent.open("POST", path);
    sent.setRequestHeader("Idempotency-Key", requestId);
    sent.setRequestHeader("X-CSRF-Token", csrf);
    sent.setRequestHeader("Content-Type", "application/octet-stream");
    sent.responseType = "json";
    sent.upload.onprogress = (event) => event.lengthComputable && told(event.loaded / event.total);
    sent.onerror = () => failed(new Refusal("The gateway did not answer: whether the file is there is not known.", "no_answer", requestId));
    sent.onload = () => {
      const reply = (sent.response ?? {}) as Record<string, unknown>;
      if (sent.status < 300) done(reply as T);
      else failed(new Refusal(String(reply.message ?? sent.statusText), String(reply.code ?? sent.status), requestId, reply));
    };
    sent.send(file);
  });
}

export function engine(id: string, verb = ""): string {
  return `${NAUTILUS}/engines/${encodeURIComponent(id)}${verb ? `/${verb}` : ""}`;
}

export function saidOf(error: unknown): string {
  return error instanceof Refusal ? error.message : String(error);
}
