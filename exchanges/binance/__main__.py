"""`python -m exchanges.binance`: a Binance USDT-M futures exchange on this machine, to try and to rehearse on."""

import argparse
import sys
from collections.abc import Callable, Sequence
from decimal import Decimal

from exchanges.binance.core.exchange import new_state
from exchanges.binance.core.state import State
from exchanges.binance.server import Server, load_state, machine_clock
from exchanges.binance.verbs import control_of
from exchanges.core.faults import Planned
from exchanges.launching import Launch, launch

CHAOS = [
    Planned(at=0, do="cut", body={"which": "private"}),
    Planned(at=0, do="cut", body={"which": "market"}),
    Planned(at=0, do="fault", body={"on": "*", "kind": "slow", "seconds": 1.5, "times": 5}),
    Planned(at=0, do="fault", body={"on": "POST /fapi/v1/order", "kind": "unknown", "times": 1}),
    Planned(at=0, do="fault", body={"on": "POST /fapi/v1/order", "kind": "lost", "times": 1}),
    Planned(at=0, do="fault", body={"on": "GET /fapi/v1/openOrders", "kind": "reject", "times": 1}),
    Planned(at=0, do="conduct", body={"parts": 3}),
    Planned(at=0, do="conduct", body={"fill_after_cancel": 1}),
    Planned(at=0, do="stream", body={"duplicate": True}),
    Planned(at=0, do="stream", body={"swap": True}),
    Planned(at=0, do="stream", body={"mute": True}),
    Planned(at=0, do="clear"),
    Planned(at=0, do="down", body={"seconds": 3}),
    Planned(at=0, do="maintenance", body={"seconds": 5}),
    Planned(at=0, do="ban", body={"seconds": 5}),
]
EXAMPLE = """
Point NautilusTrader's Binance clients at it: account_type USDT_FUTURES, base_url_http http://HOST:PORT, base_url_ws and
base_url_ws_stream ws://HOST:PORT, instruments BTCUSDT-PERP.BINANCE and ETHUSDT-PERP.BINANCE. docs/exchanges.md has the
whole configuration, and every verb of the control port:

  curl localhost:9101/                                              what there is
  curl localhost:9101/ledger                                        the truth
  curl localhost:9101/touch -d '{"symbol":"BTCUSDT","bid":"49000","ask":"49000.1"}'
  curl localhost:9101/fault -d '{"on":"POST /fapi/v1/order","kind":"unknown","times":1}'
"""


def _new(seed: int, accounts: list[list[str]], deposit: Decimal) -> State:
    return new_state(seed, machine_clock(), [(name, key, secret) for name, key, secret in accounts], deposit)


def _serve(state: State, options: argparse.Namespace, say: Callable[[str], None]) -> Server:
    return Server(
        state,
        host=options.host,
        port=options.port,
        interval_s=options.interval,
        file=options.state,
        say=say,
    )


BINANCE = Launch(
    module="exchanges.binance",
    title="Binance USDT-M futures",
    epilog=EXAMPLE,
    port=9100,
    account="NAME:KEY:SECRET",
    default_account="main:test-key:test-secret",
    chaos=CHAOS,
    new=_new,
    load=load_state,
    serve=_serve,
    control=control_of,
    names=lambda state: [f"{account.name} (key {account.key})" for account in state.accounts.values()],
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the exchange until it is told to end. 2 if it cannot be run as it was asked to."""
    return launch(BINANCE, arguments)


if __name__ == "__main__":
    sys.exit(main())
