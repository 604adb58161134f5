/** Who is signed in. A code comes in the address (`#code=…`) or is typed; the cookie that it gives is not for scripts to see. */

import { API, ask, Refusal, type Schemas, useCsrf } from "./api";

type Role = Schemas["SessionReply"]["role"];
const ROLES: Role[] = ["observer", "viewer", "trader", "admin"];
const PATH = `${API}/session`;

type Standing = "unknown" | "in" | "out" | "over";

export const session = $state({
  standing: "unknown" as Standing,
  name: "",
  role: "observer" as Role,
  expiresAt: null as string | null,
  isLimited: false,
  why: "",
});

function take(reply: Schemas["SessionReply"]): void {
  useCsrf(reply.csrf_token ?? "");
  const isLimited = Object.keys(reply.labels).length > 0;
  Object.assign(session, { standing: "in", name: reply.name, role: reply.role, expiresAt: reply.expires_at, isLimited, why: "" });
}

export function may(role: Role): boolean {
  return ROLES.indexOf(session.role) >= ROLES.indexOf(role);
}

/** Who observes, or sees engines of some labels alone, is not told of hosts, services and backtests. */
export function seesAll(): boolean {
  return may("viewer") && !session.isLimited;
}

/** What the stream of the fleet tells us. */
export function topicsSeen(): string {
  if (session.isLimited) return "engines";
  return `engines,orders,positions,accounts${may("viewer") ? ",alerts,hosts,services,backtests" : ""}`;
}

/** With the code in the address, once; else with the cookie that is here. */
export async function begin(): Promise<void> {
  const code = /^#code=([\w-]+)/.exec(location.hash)?.[1];
  if (code) {
    history.replaceState(null, "", "#/fleet");
    if (await signIn(code)) return;
  }
  await look(code ? session.why : "");
}

/** Asks who we are; null while the gateway does not answer. */
export async function look(why = ""): Promise<void> {
  try {
    take(await ask<Schemas["SessionReply"]>("GET", PATH));
  } catch (error) {
    if (error instanceof Refusal && error.code === "unauthenticated") {
      session.standing = session.standing === "in" || session.standing === "over" ? "over" : "out";
      session.why = why;
    } else if (session.standing === "unknown") {
      setTimeout(() => void look(why), 1000);
    }
  }
}

export async function signIn(code: string): Promise<boolean> {
  try {
    take(await ask<Schemas["SessionReply"]>("POST", PATH, { code }));
    return true;
  } catch (error) {
    session.why = error instanceof Refusal ? error.message : String(error);
    return false;
  }
}

export async function signOut(): Promise<void> {
  await ask("DELETE", PATH).catch(() => undefined);
  location.reload();
}
