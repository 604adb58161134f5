"""The routes of ledgers over all engines."""

from collections.abc import Iterator
from typing import Final

from flotilla.services.gateway.fleet import ledgers
from flotilla.services.gateway.routes.route import Route, observing
from flotilla.services.gateway.routes.signature import Handler
from flotilla.services.gateway.web.scope import About

LEDGER: Final = "/api/v1/ledger"
_ROWS: Final[tuple[tuple[str, Handler, Handler, str], ...]] = (
    ("orders", ledgers.list_orders, ledgers.export_orders, "Orders, as the last event about each has them"),
    ("fills", ledgers.list_fills, ledgers.export_fills, "Executions, each once"),
    (
        "positions",
        ledgers.list_positions,
        ledgers.export_positions,
        "Positions, each from where it opened to where it closed",
    ),
    (
        "accounts",
        ledgers.list_accounts,
        ledgers.export_accounts,
        "Balances of accounts, a row for each time they changed",
    ),
)


def _routes() -> Iterator[Route]:
    for name, list_rows, export_rows, summary in _ROWS:
        yield observing(
            f"ledger_{name}",
            f"{LEDGER}/{name}",
            list_rows,
            f"{summary}, newest first unless asked otherwise.",
            tag="ledgers",
            about=About.ENGINES,
        )
        yield observing(
            f"ledger_{name}_export",
            f"{LEDGER}/{name}/export",
            export_rows,
            f"{summary}: all that the filters keep, as CSV or JSON.",
            tag="ledgers",
            about=About.ENGINES,
            media="text/csv",
        )


LEDGER_ROUTES: Final[tuple[Route, ...]] = tuple(_routes())
