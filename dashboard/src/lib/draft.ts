/** The form of an engine: from a configuration into fields, and back. What has no field stays as it was stored. */

import type { Bodies, Schemas } from "./api";
import { type Parameters, parsed, type Texts, textsOf, type Values, valuesOf } from "./parameters";

export type Config = Schemas["EngineConfig"];
export type EngineTemplate = Schemas["TemplateView"];
/** What an object is called of which the API says nothing more. */
export type Bare = Record<string, never>;
export type StrategyTemplates = Record<string, Parameters>;

export interface StrategyDraft {
  key: number;
  template: string;
  texts: Texts;
  /** As it was stored; one without a template (a class by its path) stays like that. */
  stored: Config["strategies"] extends (infer One)[] | null ? One | null : never;
}
export interface VenueDraft {
  key: number;
  name: string;
  adapter: string;
  account: string;
  secret: string;
  config: string;
}
export interface LimitDraft {
  key: number;
  measure: Schemas["LossMeasure"];
  at: string;
  action: Schemas["LimitAction"];
  until: Schemas["LiftedBy"];
}
export interface Draft {
  id: string;
  template: string;
  /** An engine template that trades at venues may also be run on paper. */
  isOnPaper: boolean;
  texts: Texts;
  strategies: StrategyDraft[];
  venues: VenueDraft[];
  maxPosition: string;
  maxRate: string;
  currency: string;
  limits: LimitDraft[];
  memory: string;
  cpu: string;
  labels: string;
}

let keys = 0;
export const newStrategy = (template: string, parameters: Parameters): StrategyDraft => ({ key: ++keys, template, texts: textsOf(parameters), stored: null });
export const newVenue = (): VenueDraft => ({ key: ++keys, name: "", adapter: "", account: "", secret: "", config: "{}" });
export const newLimit = (): LimitDraft => ({ key: ++keys, measure: "day", at: "2%", action: "flatten", until: "resume" });

/** The template that an engine without one is of, as the orchestrator chooses it. */
function usual(config: Config): string {
  return { sandbox: "sandbox_engine", backtest: "backtest_engine" }[config.engine_type] ?? (config.trading_mode === "live" ? "live_engine" : "paper_trading");
}

export function emptyDraft(template: EngineTemplate): Draft {
  return {
    id: "", template: template.name, isOnPaper: false, texts: textsOf(template.parameters), strategies: [], venues: [], maxPosition: "", maxRate: "",
    currency: "", limits: [], memory: "2g", cpu: "2.0", labels: "",
  };
}

export function draftOf(config: Config, templates: EngineTemplate[], strategies: StrategyTemplates): Draft {
  const name = config.template ?? usual(config);
  const template = templates.find((one) => one.name === name);
  return {
    id: config.instance_id,
    template: name,
    isOnPaper: template?.trading_mode === "live" && config.trading_mode !== "live",
    texts: textsOf(template?.parameters ?? {}, config.parameters),
    strategies: (config.strategies ?? []).map((stored) => ({ key: ++keys, template: stored.template ?? "", texts: textsOf(strategies[stored.template ?? ""] ?? {}, stored.parameters), stored })),
    venues: config.venues.map((one) => ({ key: ++keys, name: one.name, adapter: one.adapter, account: one.account ?? "", secret: one.secret ?? "", config: JSON.stringify(one.config) })),
    maxPosition: config.max_position_size === null ? "" : String(config.max_position_size),
    maxRate: config.max_order_rate === null ? "" : String(config.max_order_rate),
    currency: config.loss_limits?.currency ?? "",
    limits: (config.loss_limits?.limits ?? []).map((one) => ({ key: ++keys, ...one })),
    memory: config.max_memory,
    cpu: config.max_cpu,
    labels: Object.entries(config.labels).map(([key, value]) => `${key}=${value}`).join(", "),
  };
}

export interface Made {
  config: Bodies["EngineConfig"];
  /** By the path of the field in the configuration, as the server names it too. */
  problems: Texts;
}

/** The configuration that the fields mean. `stored` is what the engine has on record. */
export function configOf(draft: Draft, stored: Config | null, templates: EngineTemplate[], strategies: StrategyTemplates): Made {
  const problems: Texts = {};
  const template = templates.find((one) => one.name === draft.template);
  const own = valuesOf(template?.parameters ?? {}, draft.texts, stored?.parameters);
  put(problems, "parameters", own.problems);
  if (!/^[a-z0-9][a-z0-9-]{0,62}$/.test(draft.id)) problems.instance_id = "must be 1 to 63 lower case letters, digits and -, and not begin with -";
  const config: Bodies["EngineConfig"] = {
    ...(stored as Bodies["EngineConfig"] | null),
    instance_id: draft.id,
    ...kindOf(draft, stored, template),
    parameters: own.values as Bare,
    strategies: draft.strategies.length ? draft.strategies.map((one, index) => strategyOf(one, index, strategies, problems)) : null,
    venues: draft.venues.map((one, index) => venueOf(one, index, problems)),
    max_position_size: numberOf(draft.maxPosition, "max_position_size", problems),
    max_order_rate: numberOf(draft.maxRate, "max_order_rate", problems),
    loss_limits: limitsOf(draft, stored, problems),
    max_memory: draft.memory.trim(),
    max_cpu: draft.cpu.trim(),
    labels: labelsOf(draft.labels, problems),
  };
  return { config, problems };
}

/** Another template brings its own type and mode; under the same one they stay as they are, but for the money that is chosen. */
function kindOf(draft: Draft, stored: Config | null, template: EngineTemplate | undefined): Pick<Config, "engine_type" | "trading_mode" | "template"> {
  const isSame = stored !== null && draft.template === (stored.template ?? usual(stored));
  const kind = isSame ? stored : { engine_type: template?.engine_type ?? "sandbox", trading_mode: template?.trading_mode ?? "paper", template: draft.template };
  const mode = template?.trading_mode === "live" ? (draft.isOnPaper ? "paper" : "live") : kind.trading_mode;
  return { engine_type: kind.engine_type, trading_mode: mode, template: kind.template };
}

function put(problems: Texts, at: string, found: Texts): void {
  for (const [name, problem] of Object.entries(found)) problems[`${at}.${name}`] = problem;
}

function strategyOf(one: StrategyDraft, index: number, strategies: StrategyTemplates, problems: Texts): Bodies["StrategyChoice"] {
  if (!one.template) return one.stored as Bodies["StrategyChoice"];
  const before = one.stored?.template === one.template ? one.stored.parameters : {};
  const { values, problems: found } = valuesOf(strategies[one.template] ?? {}, one.texts, before as Values);
  put(problems, `strategies[${index}].parameters`, found);
  return { ...(one.stored as Bodies["StrategyChoice"] | null), template: one.template, parameters: values as Bare };
}

function venueOf(one: VenueDraft, index: number, problems: Texts): Bodies["VenueChoice"] {
  const at = `venues[${index}]`;
  for (const field of ["name", "adapter"] as const) if (!one[field].trim()) problems[`${at}.${field}`] = "is needed";
  let config = {};
  try {
    config = parsed(one.config.trim() || "{}") as Values;
  } catch (error) {
    problems[`${at}.config`] = (error as Error).message;
  }
  return { name: one.name.trim(), adapter: one.adapter.trim(), account: one.account.trim() || null, secret: one.secret.trim() || null, config };
}

function numberOf(text: string, field: string, problems: Texts): number | null {
  if (!text.trim()) return null;
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  problems[field] = "must be a number above 0";
  return null;
}

function limitsOf(draft: Draft, stored: Config | null, problems: Texts): Bodies["LossLimits"] | null {
  if (!draft.limits.length) return null;
  if (!draft.currency.trim()) problems["loss_limits.currency"] = "is needed";
  draft.limits.forEach((one, index) => {
    if (!/^\d{1,15}(\.\d{1,10})?%?$/.test(one.at.trim())) problems[`loss_limits.limits[${index}].at`] = "must be an amount such as 500, or a share such as 2%";
  });
  const limits = draft.limits.map(({ measure, at, action, until }) => ({ measure, at: at.trim(), action, until }));
  return { ...(stored?.loss_limits as Bodies["LossLimits"] | null), currency: draft.currency.trim().toUpperCase(), limits };
}

function labelsOf(text: string, problems: Texts): Record<string, string> {
  const pairs = text.split(/[\s,]+/).filter(Boolean).map((one) => one.split("=", 2));
  if (pairs.some((pair) => pair.length < 2)) problems.labels = "must be key=value, separated by commas";
  return Object.fromEntries(pairs.filter((pair) => pair.length === 2));
}

export interface Change {
  path: string;
  before: string;
  after: string;
}

const shown = (value: unknown) => (value === undefined || value === null ? "–" : typeof value === "string" ? value : JSON.stringify(value));

/** What differs, by path; a field that one of them lacks is as good as null. */
export function changes(before: unknown, after: unknown, path = ""): Change[] {
  if (isMap(before) && isMap(after)) {
    const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    return names.flatMap((name) => changes(before[name], after[name], path ? `${path}.${name}` : name));
  }
  if (Array.isArray(before) && Array.isArray(after)) {
    return Array.from({ length: Math.max(before.length, after.length) }, (_, index) => changes(before[index], after[index], `${path}[${index}]`)).flat();
  }
  return shown(before) === shown(after) ? [] : [{ path, before: shown(before), after: shown(after) }];
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
