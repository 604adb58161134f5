"""What the demo shows at its end: what was traded, what came of it, what was heard, and what to try next."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from flotilla.client.watch import EVENTS
from flotilla.demo.demo import Account
from flotilla.demo.event_audit import Tally
from flotilla.schemas.telemetry import AccountUpdate, Fill
from flotilla.show import formats
from flotilla.show.backtest_tables import result_report
from flotilla.show.output import table

_SHOWN: Final = 3
_UNKNOWN: Final = "not known"


def account_report(account: Account, program: str) -> RenderableType:
    """For people, in 80 columns. `program` is how they call us."""
    tally = account.tally
    return Group(
        _head("What the engine did"),
        _inset(_traded(account)),
        _inset(_fills(tally.fills)),
        _head("How it stood when the data was through"),
        _inset(_standing(account)),
        _head("After the stop"),
        _inset(_after(tally)),
        _head("Telemetry received over the bus"),
        _inset(_heard(account)),
        _head("The same strategy on the same data, as a backtest"),
        _inset(result_report(account.again.backtest, account.again.told, width=76)),
        Text(f"\n  {_agreement(account)}\n  tear sheet: {account.again.report or account.again.no_report}"),
        _head("Try next"),
        Text(f"  {program} up --detach"),
        Text(f"  {program} engine start my-first --param speed=86400"),
        Text(f"  {program} engine watch my-first"),
        Text(f"  {program} backtest run --strategy ema_cross"),
        Text(""),
    )


def document(account: Account) -> dict[str, Any]:
    """The same for programs."""
    tally = account.tally
    return {
        "session_id": account.session_id,
        "runtime": account.connection.runtime,
        "seconds": round(account.seconds, 3),
        "orders": len(tally.orders),
        "fills": tally.fills,
        "metrics": account.before_stop,
        "balances": tally.account.balances if tally.account else (),
        "heard": dict(tally.counts),
        "events": tally.events,
        "events_recorded": account.recorded,
        "problems": account.problems,
        "backtest": account.again.backtest,
        "equal_fills": account.again.equal_fills,
        "report": str(account.again.report) if account.again.report else None,
    }


def _agreement(account: Account) -> str:
    again = account.again
    if again.is_equal:
        return f"its {again.fills:,} fills are those of the engine, one by one"
    return f"only its first {again.equal_fills:,} of {again.fills:,} fills are those of the engine"


def _traded(account: Account) -> Table:
    tally, facts = account.tally, _grid()
    statuses = Counter(order.status for order in tally.orders.values())
    for feed in account.before_stop.feeds:
        facts.add_row("market data", f"{feed.events:,} events of {feed.venue}")
    facts.add_row("strategies", ", ".join(account.before_stop.strategies) or "none")
    facts.add_row("orders", f"{len(tally.orders):,} ({_counted(statuses)})")
    facts.add_row("fills", f"{len(tally.fills):,}")
    return facts


def _fills(fills: Sequence[Fill]) -> Table:
    made = table("DATE", "SIDE", ">QUANTITY", "INSTRUMENT", ">PRICE", ">FEE")
    first, last = fills[:_SHOWN], fills[_SHOWN:][-_SHOWN:]
    left_out = len(fills) - len(first) - len(last)
    for fill in first:
        made.add_row(*_row(fill))
    if left_out:
        made.add_row("…", f"{left_out:,} more", style="dim")
    for fill in last:
        made.add_row(*_row(fill))
    return made


def _row(fill: Fill) -> tuple[str, ...]:
    return (
        formats.day(fill.ts_event),
        fill.side,
        formats.amount(fill.last_qty),
        fill.instrument_id,
        formats.amount(fill.last_px),
        f"{fill.commission} {fill.currency}",
    )


def _standing(account: Account) -> Table:
    metrics, facts = account.before_stop, _grid()
    facts.add_row("position", formats.positions(metrics.net_positions) or "flat")
    facts.add_row("realized pnl", formats.money(metrics.realized_pnl))
    facts.add_row("unrealized pnl", formats.money(metrics.unrealized_pnl))
    facts.add_row("balance", formats.money(metrics.balances))
    return facts


def _after(tally: Tally) -> Table:
    facts = _grid()
    facts.add_row("position", _held(tally))
    facts.add_row("balance", _balances(tally.account) or _UNKNOWN)
    return facts


def _held(tally: Tally) -> str:
    """Nothing that was heard of tells of an open position, but it means that there is none only when all was heard."""
    held = [position for position in tally.positions.values() if position.side != "FLAT"]
    told = ", ".join(f"{one.instrument_id} {one.side} {formats.amount(one.quantity)}" for one in held)
    if tally.is_complete:
        return told or "flat"
    return f"{_UNKNOWN}; heard of last: {told}" if told else _UNKNOWN


def _heard(account: Account) -> Table:
    tally, facts = account.tally, _grid()
    counts = tally.counts
    facts.add_row(
        "live",
        f"{counts['heartbeat']} heartbeats, {counts['metrics']} metrics, {tally.log_lines:,} log lines",
    )
    facts.add_row("durable events", _counted({kind: counts[kind] for kind in EVENTS if counts[kind]}))
    facts.add_row("sequence", _sequence(tally, account.recorded))
    return facts


def _sequence(tally: Tally, recorded: int) -> str:
    last = tally.last_seq
    if not last:
        return "no event was heard of"
    heard = "none missing" if tally.is_complete else f"{tally.events:,} heard"
    kept = f"all {recorded:,} are" if recorded == last else f"{recorded:,} of them are"
    return f"1 to {last:,}, {heard}; {kept} in PostgreSQL"


def _balances(account: AccountUpdate | None) -> str:
    if account is None:
        return ""
    return formats.money({balance.currency: balance.total for balance in account.balances})


def _counted(counts: Counter[str] | dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())


def _head(text: str) -> Text:
    return Text(f"\n{text}", style="bold")


def _inset(what: RenderableType) -> Padding:
    return Padding(what, (0, 0, 0, 2), expand=False)


def _grid() -> Table:
    made = Table.grid(padding=(0, 2, 0, 0))
    made.add_column(style="dim", no_wrap=True, min_width=14)
    made.add_column(overflow="fold", max_width=62)
    return made
