"""What `flotilla demo --venue` shows at its end: the engine's events beside the exchange's ledger, trade by trade."""

from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from flotilla.demo.venue import VenueAccount
from flotilla.show import formats
from flotilla.show.output import table


def venue_report(account: VenueAccount, program: str) -> RenderableType:
    """For people, in 80 columns. `program` is how they call us."""
    return Group(
        Text("\nWhat the engine said, and what the exchange has", style="bold"),
        Padding(_trades(account), (0, 0, 0, 2), expand=False),
        Text("\nAfter the stop", style="bold"),
        Padding(_after(account), (0, 0, 0, 2), expand=False),
        Text("\nTry next", style="bold"),
        Text("  .venv/bin/python -m exchanges.binance      one to keep, with a control port"),
        Text(f"  {program} up --detach"),
        Text("  docs/venues.md                             how to rehearse a live start"),
        Text(""),
    )


def venue_document(account: VenueAccount) -> dict[str, Any]:
    """The same for programs."""
    return {
        "seconds": round(account.seconds, 3),
        "orders": len(account.tally.orders),
        "fills": account.tally.fills,
        "metrics": account.at_stop,
        "ledger": account.ledger,
        "heard": dict(account.tally.counts),
        "events": account.tally.events,
        "events_recorded": account.recorded,
        "problems": account.problems,
    }


def _trades(account: VenueAccount) -> Table:
    """One row per trade id, the exchange's figures behind the engine's; what one side does not have is a dash."""
    made = table("TRADE", "SIDE", ">QTY", ">PRICE", ">FEE", ">LEDGER", ">PRICE", ">FEE")
    ours = {fill.trade_id: fill for fill in account.tally.fills}
    theirs = {fill.trade_id: fill for fill in account.ledger.fills}
    for trade in sorted({*ours, *theirs}, key=lambda name: (len(name), name)):
        own, kept = ours.get(trade), theirs.get(trade)
        said = (own.last_qty, own.last_px, own.commission) if own else ("-", "-", "-")
        there = (kept.quantity, kept.price, kept.fee) if kept else ("-", "-", "-")
        made.add_row(trade, own.side if own else kept.side if kept else "", *said, *there)
    return made


def _after(account: VenueAccount) -> Table:
    tally, ledger, facts = account.tally, account.ledger, Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(style="dim", no_wrap=True, min_width=14)
    facts.add_column(overflow="fold", max_width=62)
    facts.add_row(
        "exchange", f"{ledger.positions} positions, {ledger.open_orders} open orders, {ledger.wallet} USDT"
    )
    balances = tally.account.balances if tally.account else ()
    shown = formats.money({balance.currency: balance.total for balance in balances})
    facts.add_row("engine", f"{tally.states[-1].state}, {shown or 'balance not known'}")
    facts.add_row(
        "events", f"{tally.events:,} heard, {account.recorded:,} in PostgreSQL, of {tally.last_seq:,} in all"
    )
    told = (
        "; ".join(account.problems) or f"all {len(ledger.fills)} trades are told alike, and nothing is open"
    )
    facts.add_row("both", told)
    return facts
