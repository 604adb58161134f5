/** Templates, and whether they take what was typed. */

import { ask, type Bodies, NAUTILUS, Refusal, type Schemas } from "./api";
import type { Bare } from "./draft";
import type { Parameters, Texts, Values } from "./parameters";

const STRATEGIES = `${NAUTILUS}/engine/strategies`;

export async function readStrategies(): Promise<Schemas["StrategySummary"][]> {
  return (await ask<Schemas["StrategyTemplatesReply"]>("GET", `${STRATEGIES}/templates`)).strategies;
}

export const parametersOf = (found: Schemas["StrategySummary"][]): Record<string, Parameters> => Object.fromEntries(found.map((one) => [one.name, one.parameters as unknown as Parameters]));

/** What runs engines that people start; that of workers starts them by itself. */
export async function readEngines(): Promise<Schemas["TemplateView"][]> {
  const { templates } = await ask<Schemas["TemplatesReply"]>("GET", `${NAUTILUS}/templates/engine`);
  return templates.filter((one) => one.engine_type !== "backtest");
}

/** Field errors of a refusal, by path; none for another one. */
export function fieldsOf(error: unknown): Texts {
  const errors = error instanceof Refusal && Array.isArray(error.body.errors) ? (error.body.errors as Schemas["FieldError"][]) : [];
  return Object.fromEntries(errors.map((one) => [one.field.replace(/^config\./, ""), one.message]));
}

export interface Verdict {
  message: string;
  isValid: boolean;
  /** By path, such as `parameters.fast_ema_period`. */
  problems: Texts;
}

export async function validate(strategy: string, parameters: Values): Promise<Verdict> {
  const body: Bodies["ValidateStrategy"] = { strategy_name: strategy, parameters: parameters as Bare };
  try {
    const { message } = await ask<Schemas["StrategyVerdictReply"]>("POST", `${STRATEGIES}/validate`, body);
    return { message, isValid: true, problems: {} };
  } catch (error) {
    if (!(error instanceof Refusal && error.code === "invalid")) throw error;
    return { message: error.message, isValid: false, problems: fieldsOf(error) };
  }
}
