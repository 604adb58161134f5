/** The ledgers: what their columns are, and what is asked for by the filters that stand in the address. */

import { API, type Schemas } from "./api";
import { moment } from "./clock.svelte";
import { amount, printed } from "./decimal";

export type LedgerName = "orders" | "fills" | "positions" | "accounts";
export const LEDGERS: LedgerName[] = ["orders", "fills", "positions", "accounts"];

type OrderRow = Schemas["OrderRow"];
type FillRow = Schemas["FillRow"];
type PositionRow = Schemas["PositionRow"];
type AccountRow = Schemas["AccountRow"];
export type LedgerRow = OrderRow | FillRow | PositionRow | AccountRow;

export interface Column<T = LedgerRow> {
  name: string;
  isNumber?: boolean;
  isMono?: boolean;
  cell: (row: T) => string;
  tone?: (row: T) => string;
  title?: (row: T) => string | undefined;
}

export const figure = (text: string | null | undefined) => (text ? printed(text) : "–");
export const sideTone = (side: string) => (/^(BUY|LONG)$/.test(side) ? "buy" : /^(SELL|SHORT)$/.test(side) ? "sell" : "");
export const sideMark = (side: string) => ({ BUY: "▲ buy", SELL: "▼ sell", LONG: "▲ long", SHORT: "▼ short", FLAT: "○ flat" })[side] ?? side.toLowerCase();
/** NautilusTrader prints money as `1.20 USDT`. */
const money = (text: string) => text.split(" ").map(printed).join(" ");
const balances = (row: AccountRow, field: "total" | "free" | "locked") => row.balances.map((one) => `${amount(one[field], one.currency)} ${one.currency}`).join(" · ");
const statusTone = (status: string) => (/REJECTED|DENIED/.test(status) ? "bad" : status === "FILLED" ? "ok" : "soft");

const orders: Column<OrderRow>[] = [
  { name: "Time", isMono: true, cell: (row) => moment(row.at) },
  { name: "Instrument", cell: (row) => row.instrument_id },
  { name: "Side", cell: (row) => sideMark(row.side), tone: (row) => sideTone(row.side) },
  { name: "Quantity", isNumber: true, cell: (row) => figure(row.quantity) },
  { name: "Filled", isNumber: true, cell: (row) => figure(row.filled_qty) },
  { name: "Price", isNumber: true, cell: (row) => figure(row.price ?? row.trigger_price) },
  { name: "Filled at", isNumber: true, cell: (row) => figure(row.avg_px) },
  { name: "Type", cell: (row) => `${row.order_type.toLowerCase().replaceAll("_", " ")}${row.is_reduce_only ? ", reduce only" : ""}` },
  { name: "Status", cell: (row) => `${row.status.toLowerCase().replaceAll("_", " ")}${row.is_continued ? ", taken over" : ""}${row.reason ? `: ${row.reason}` : ""}`, tone: (row) => statusTone(row.status), title: (row) => row.reason ?? undefined },
  { name: "Strategy", cell: (row) => row.strategy_id },
  { name: "Order", isMono: true, cell: (row) => row.client_order_id, title: (row) => (row.venue_order_id ? `at the venue ${row.venue_order_id}` : undefined) },
];
const fills: Column<FillRow>[] = [
  { name: "Time", isMono: true, cell: (row) => moment(row.at) },
  { name: "Instrument", cell: (row) => row.instrument_id },
  { name: "Side", cell: (row) => sideMark(row.side), tone: (row) => sideTone(row.side) },
  { name: "Quantity", isNumber: true, cell: (row) => figure(row.last_qty) },
  { name: "Price", isNumber: true, cell: (row) => `${figure(row.last_px)} ${row.currency}` },
  { name: "Commission", isNumber: true, cell: (row) => money(row.commission) },
  { name: "Liquidity", cell: (row) => row.liquidity_side.toLowerCase().replaceAll("_", " ") },
  { name: "Strategy", cell: (row) => row.strategy_id },
  { name: "Account", cell: (row) => row.account ?? "–" },
  { name: "Trade", isMono: true, cell: (row) => `${row.trade_id}${row.is_restored ? ", restored" : ""}` },
  { name: "Order", isMono: true, cell: (row) => row.client_order_id },
];
export const pnlTone = (text: string) => (/^-/.test(text) ? "down" : /^[0.]+( |$)/.test(text) ? "" : "up");
export const signed = (text: string) => `${pnlTone(text) === "up" ? "+" : ""}${money(text)}`;
const positions: Column<PositionRow>[] = [
  { name: "Opened", isMono: true, cell: (row) => moment(row.at) },
  { name: "Instrument", cell: (row) => row.instrument_id },
  { name: "Side", cell: (row) => sideMark(row.side), tone: (row) => sideTone(row.side) },
  { name: "Quantity", isNumber: true, cell: (row) => figure(row.quantity) },
  { name: "Opened at", isNumber: true, cell: (row) => figure(row.avg_px_open) },
  { name: "Closed at", isNumber: true, cell: (row) => figure(row.avg_px_close) },
  { name: "Realised", isNumber: true, cell: (row) => signed(row.realized_pnl), tone: (row) => pnlTone(row.realized_pnl) },
  { name: "State", cell: (row) => (row.is_continued ? "taken over" : row.is_open ? "open" : "closed"), tone: (row) => (row.is_open ? "" : "dim") },
  { name: "Last change", isMono: true, cell: (row) => moment(row.last_at) },
  { name: "Strategy", cell: (row) => row.strategy_id },
  { name: "Position", isMono: true, cell: (row) => row.position_id },
];
const accounts: Column<AccountRow>[] = [
  { name: "Time", isMono: true, cell: (row) => moment(row.at) },
  { name: "Venue", cell: (row) => row.venue },
  { name: "Account", isMono: true, cell: (row) => row.account_id },
  { name: "Type", cell: (row) => row.account_type.toLowerCase() },
  { name: "Total", isNumber: true, cell: (row) => balances(row, "total") },
  { name: "Free", isNumber: true, cell: (row) => balances(row, "free") },
  { name: "Locked", isNumber: true, cell: (row) => balances(row, "locked") },
];
export const COLUMNS = { orders, fills, positions, accounts } as unknown as Record<LedgerName, Column[]>;

const TRADED = ["instrument_id", "side"];
/** What each of them can be filtered by; a filter of another ledger stays in the address and does nothing. */
const FILTERS: Record<LedgerName, string[]> = { orders: [...TRADED, "open"], fills: TRADED, positions: [...TRADED, "open"], accounts: ["latest"] };
const OF_ALL = ["engine", "venue", "since", "until"];

export function has(name: LedgerName, filter: string): boolean {
  return OF_ALL.includes(filter) || FILTERS[name].includes(filter);
}

export function queryOf(name: LedgerName, view: Record<string, string>): URLSearchParams {
  const query = new URLSearchParams();
  for (const filter of [...OF_ALL, ...FILTERS[name]]) {
    const value = view[filter]?.trim();
    if (!value) continue;
    // Both fields of a time are of UTC, as the column is, whatever zone is shown.
    query.set(filter, /^(since|until)$/.test(filter) ? `${value.length === 16 ? `${value}:00` : value}Z` : value.replace(/\s*,\s*|\s+/g, ","));
  }
  return query;
}

export const pathOf = (name: LedgerName) => `${API}/ledger/${name}`;
/** One row in an account's ledger may be told twice in a second: the event it was told in names it. */
export const keyOf = (row: LedgerRow, index: number) => `${row.session_id} ${row.seq} ${index}`;
