import type { Schemas } from "./api";

export type EngineRow = Schemas["EngineRow"];
export type HostRow = Schemas["HostRow"];
export type ServiceRow = Schemas["ServiceRow"];
export type BacktestRow = Schemas["BacktestRow"];
export type OrderLine = Schemas["OrderLine"];
export type PositionLine = Schemas["PositionLine"];
export type AccountLine = Schemas["AccountLine"];
export type AlertView = Schemas["AlertView"];
export type Mode = EngineRow["mode"];

/** In the order in which they are shown: what trades money first. */
export const MODES: Mode[] = ["live", "paper", "sandbox", "backtest", "worker"];
