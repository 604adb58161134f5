"""`python -m exchanges.okx`: an OKX exchange for USDT swaps on this machine, to try and to rehearse on."""

import argparse
import sys
from collections.abc import Callable, Sequence
from decimal import Decimal

from exchanges.core.faults import Planned
from exchanges.launching import Launch, launch
from exchanges.okx.core.exchange import new_state
from exchanges.okx.core.state import State
from exchanges.okx.server import Server, load_state, machine_clock
from exchanges.okx.verbs import control_of

CHAOS = [
    Planned(at=0, do="cut", body={"which": "private"}),
    Planned(at=0, do="cut", body={"which": "business"}),
    Planned(at=0, do="cut", body={"which": "public"}),
    Planned(at=0, do="fault", body={"on": "*", "kind": "slow", "seconds": 1.5, "times": 5}),
    Planned(at=0, do="fault", body={"on": "WS order", "kind": "unknown", "times": 1}),
    Planned(at=0, do="fault", body={"on": "WS order", "kind": "lost", "times": 1}),
    Planned(at=0, do="fault", body={"on": "GET /api/v5/trade/orders-pending", "kind": "reject", "times": 1}),
    Planned(at=0, do="conduct", body={"parts": 3}),
    Planned(at=0, do="conduct", body={"fill_after_cancel": 1}),
    Planned(at=0, do="stream", body={"duplicate": True}),
    Planned(at=0, do="stream", body={"swap": True}),
    Planned(at=0, do="stream", body={"mute": True}),
    Planned(at=0, do="clear"),
    Planned(at=0, do="down", body={"seconds": 3}),
    Planned(at=0, do="maintenance", body={"seconds": 5}),
]
EXAMPLE = """
Point NautilusTrader's OKX clients at it: instrument_types SWAP, base_url_http http://HOST:PORT, base_url_ws
ws://HOST:PORT/ws/v5/public (data) and ws://HOST:PORT/ws/v5/private (execution), margin_mode CROSS, instruments
BTC-USDT-SWAP.OKX and ETH-USDT-SWAP.OKX, and strategies with use_hyphens_in_client_order_ids false. docs/exchanges-okx.md
has the whole configuration, and every verb of the control port:

  curl localhost:9201/                                              what there is
  curl localhost:9201/ledger                                        the truth
  curl localhost:9201/touch -d '{"instrument":"BTC-USDT-SWAP","bid":"49000","ask":"49000.1"}'
  curl localhost:9201/fault -d '{"on":"WS order","kind":"unknown","times":1}'
"""


def _new(seed: int, accounts: list[list[str]], deposit: Decimal) -> State:
    named = [(name, key, secret, passphrase) for name, key, secret, passphrase in accounts]
    return new_state(seed, machine_clock(), named, deposit)


def _serve(state: State, options: argparse.Namespace, say: Callable[[str], None]) -> Server:
    return Server(
        state,
        host=options.host,
        port=options.port,
        interval_s=options.interval,
        file=options.state,
        say=say,
    )


OKX = Launch(
    module="exchanges.okx",
    title="OKX USDT swaps",
    epilog=EXAMPLE,
    port=9200,
    account="NAME:KEY:SECRET:PASSPHRASE",
    default_account="main:test-key:test-secret:test-phrase",
    chaos=CHAOS,
    new=_new,
    load=load_state,
    serve=_serve,
    control=control_of,
    names=lambda state: [f"{account.name} (key {account.key})" for account in state.accounts.values()],
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the exchange until it is told to end. 2 if it cannot be run as it was asked to."""
    return launch(OKX, arguments)


if __name__ == "__main__":
    sys.exit(main())
