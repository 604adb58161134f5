/** Parameters of templates: what stands in a field, and the value that it means. The server decides whether a value will do. */

import type { Schemas } from "./api";

export type Parameter = Schemas["Parameter"];
export type Parameters = Record<string, Parameter>;
export type Texts = Record<string, string>;
export type Values = Record<string, unknown>;

const NUMBERS = new Set(["integer", "number"]);
const DOCUMENTS = new Set(["list", "map", "object", "any"]);
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

export const isDocument = (one: Parameter) => DOCUMENTS.has(one.type);

export function textOf(one: Parameter, value: unknown): string {
  if (value === null || value === undefined) return "";
  return DOCUMENTS.has(one.type) || typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** What a field means; undefined where it is empty. Throws an Error whose message says what is wrong with it. */
export function valueOf(one: Parameter, text: string): unknown {
  const plain = text.trim();
  if (plain === "") return undefined;
  if (one.type === "boolean") return plain === "true";
  if (DOCUMENTS.has(one.type)) return parsed(plain);
  if (!NUMBERS.has(one.type)) return plain;
  if (!NUMBER.test(plain)) throw new Error("is no number");
  const value = Number(plain);
  if (one.type === "integer" && !Number.isInteger(value)) throw new Error("is no whole number");
  const problem = outOf(one, value);
  if (problem) throw new Error(problem);
  return value;
}

function outOf(one: Parameter, value: number): string {
  if (one.min !== null && value < one.min) return `must be ${one.min} or more`;
  if (one.max !== null && value > one.max) return `must be ${one.max} or less`;
  if (one.above !== null && value <= one.above) return `must be more than ${one.above}`;
  if (one.below !== null && value >= one.below) return `must be less than ${one.below}`;
  return "";
}

export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error("is no JSON");
  }
}

/** The fields of a template, with what is given or else its defaults. */
export function textsOf(parameters: Parameters, given: Values = {}): Texts {
  return Object.fromEntries(Object.entries(parameters).map(([name, one]) => [name, textOf(one, name in given ? given[name] : one.default)]));
}

/** What is to be given: all that differs from the defaults, and what was given before; an empty field means the default. Problems go by the
 * name of the field. */
export function valuesOf(parameters: Parameters, texts: Texts, before: Values = {}): { values: Values; problems: Texts } {
  const [values, problems]: [Values, Texts] = [{}, {}];
  for (const [name, one] of Object.entries(parameters)) {
    const text = texts[name] ?? "";
    try {
      const value = valueOf(one, text);
      if (value === undefined && one.required) problems[name] = "is needed";
      if (value !== undefined && (name in before || text !== textOf(one, one.default))) values[name] = value;
    } catch (error) {
      problems[name] = (error as Error).message;
    }
  }
  return { values, problems };
}

const plain = (bound: number) => bound.toLocaleString("en-US", { maximumFractionDigits: 12, useGrouping: false });

/** `from 1 to 1000`, `above 0`; empty where all will do. */
export function boundsOf(one: Parameter): string {
  const low = one.min !== null ? `from ${plain(one.min)}` : one.above !== null ? `above ${plain(one.above)}` : "";
  const high = one.max !== null ? `to ${plain(one.max)}` : one.below !== null ? `below ${plain(one.below)}` : "";
  return [low, high].filter(Boolean).join(" ");
}
