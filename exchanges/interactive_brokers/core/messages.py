"""What a client reads: each message with its fields in the order of server version 176. A field too few shifts all that follow."""

from collections.abc import Sequence
from datetime import UTC, datetime

from exchanges.core.book import Side
from exchanges.interactive_brokers.core.errors import MESSAGES
from exchanges.interactive_brokers.core.state import ZERO, Account, Contract, Fill, Order, Position
from exchanges.interactive_brokers.core.wire import UNSET, Field, Message

ORDER_TYPES = "LIT,LMT,MIT,MKT,STP,STP LMT,TRAIL,TRAIL LIMIT"
EMPTY = ("",)


def clock(at_ms: int) -> str:
    """A moment as the venue writes it."""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y%m%d %H:%M:%S} UTC"


def error(id_: int, code: int, text: str = "") -> Message:
    """An error or a notice: of a request, of an order, or of the whole gateway (-1). Its text is read as escaped ASCII."""
    escaped = (text or MESSAGES[code]).encode("unicode_escape").decode("ascii")
    return ("4", "2", id_, code, escaped, "")


def contract_fields(contract: Contract, exchange: str = "") -> Message:
    """The eleven fields that describe a contract in other messages."""
    return (
        contract.con_id,
        contract.symbol,
        contract.kind,
        contract.expiry,
        "0",
        "",
        contract.multiplier_text,
        exchange or contract.exchange,
        contract.currency,
        contract.local_symbol,
        contract.trading_class,
    )


def contract_details(request: int, contract: Contract, exchange: str, hours: str) -> Message:
    """All about a contract, as it is traded at `exchange`."""
    c = contract
    under = (c.symbol, "IND") if c.is_future else ("", "")
    ids: Message = ("1", "ISIN", c.isin) if c.isin else ("0",)
    named: Message = ("10", request, c.symbol, c.kind, c.expiry, "0", "", exchange or c.exchange, c.currency)
    numbers: Message = (c.local_symbol, c.local_symbol, c.trading_class, c.con_id, c.tick, c.multiplier_text)
    traded: Message = (ORDER_TYPES, ",".join(c.exchanges), "1", "0", c.long_name)
    primary = c.exchange if c.kind == "STK" else ""
    months: Message = (primary, c.expiry[:6], "", "", "", "UTC", hours, hours, "", "0")
    ends: Message = ("1", *under, "26", c.expiry, "COMMON" if c.kind == "STK" else "", c.step, c.step, c.step)
    return (*named, *numbers, *traded, *months, *ids, *ends)


def symbol_samples(request: int, contracts: Sequence[Contract]) -> Message:
    """Contracts by symbol, with the tier of their exchange; derivatives are not told."""
    told: Message = ("79", request, len(contracts))
    for c in contracts:
        primary = f"{c.exchange}.{c.trading_class}" if c.kind == "STK" else c.exchange
        told += (c.con_id, c.symbol, c.kind, primary, c.currency, "0", c.long_name, "")
    return told


def order_status(order: Order) -> Message:
    """Where an order stands."""
    return (
        "3",
        order.id,
        order.status,
        order.filled,
        order.left,
        order.average,
        order.perm_id,
        order.parent,
        order.last,
        order.client,
        "",
        "0",
    )


def open_order(order: Order, contract: Contract) -> Message:
    """An order with all its fields, in the order in which they are decoded."""
    o = order
    trails = o.type.startswith("TRAIL")
    stop: Field = _unset(o.trail_stop) if trails else UNSET
    offset: Field = _unset(o.limit_offset) if trails else UNSET
    percent: Field = "" if o.trail_percent is None else o.trail_percent
    head: Message = ("5", o.id, *contract_fields(contract, o.exchange))
    terms: Message = (o.side.value, o.qty, o.type, _unset(o.limit, ""))
    terms += (_unset(o.aux, ""), o.tif, o.oca_group, o.account, "", "0", o.ref, o.client, o.perm_id)
    hours: Message = (o.outside_rth, "0", "0", "", "")  # hidden discretionaryAmt goodAfterTime shares
    advisor = EMPTY * 5 + (o.good_till, "", "", "")  # model code last, then rule 80A, percentage, firm
    short: Message = ("0", "", "-1", "0")  # slot, location, exempt code, auction strategy
    box = EMPTY * 5 + (o.display,)
    flags: Message = ("0", "0", "0", "", o.oca_type, "0", "0", "", o.parent, o.trigger_method)
    volatility: Message = ("", "0", "", "", "0", "0")  # with no delta neutral order type
    trailing: Message = (stop if trails else "", percent)
    combos: Message = ("", "", "", "0", "0", "0")  # basis points, description, three counts
    scale = EMPTY * 3
    clearing: Message = (
        "",
        "0",
        o.account,
        "",
        "0",
        "0",
        "",
        "0",
    )  # hedge … not held, neutral, algo, solicited
    state = ("0", o.status, *EMPTY * 9, *EMPTY * 3, contract.currency, "")  # what-if, margins, fees, warning
    adjusted: Message = ("0", "0", "0", "", UNSET, stop, offset, UNSET, UNSET, UNSET, "0")
    tiers: Message = ("", "", "", "0", "0", "0", "0", "0", "", "", "0")
    return (
        *head, *terms, *hours, *advisor, *short, *box, *flags, *volatility, *trailing, *combos, *scale,
        *clearing, *state, *adjusted, *tiers, *EMPTY * 5,
    )  # fmt: skip


def _unset(value: object, instead: str = UNSET) -> Field:
    return instead if value is None else str(value)


def execution(fill: Fill, contract: Contract, request: int = -1) -> Message:
    """A fill: of itself, or as the answer to a request."""
    return (
        "11",
        request,
        fill.order_id,
        *contract_fields(contract),
        fill.exec_id,
        clock(fill.time_ms),
        fill.account,
        contract.exchange,
        "BOT" if fill.side is Side.BUY else "SLD",
        fill.qty,
        fill.price,
        fill.perm_id,
        fill.client,
        "0",
        fill.total,
        fill.average,
        fill.ref,
        "",
        "",
        "",
        "1" if fill.maker else "2",
    )


def commission(fill: Fill, contract: Contract) -> Message:
    """What a fill cost, and what it realized."""
    return ("59", "1", fill.exec_id, fill.fee, contract.currency, fill.realized, "", "")


def position(account: Account, contract: Contract, held: Position) -> Message:
    """A position of an account."""
    return ("61", "3", account.name, *contract_fields(contract), held.amount, round(held.average, 8) + ZERO)
