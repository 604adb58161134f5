"""`python -m exchanges.interactive_brokers`: an Interactive Brokers gateway on this machine, to try and to rehearse on."""

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from decimal import Decimal

from exchanges.core.faults import Planned
from exchanges.interactive_brokers.core.gateway import new_state
from exchanges.interactive_brokers.core.state import State
from exchanges.interactive_brokers.server import Server, load_state, machine_clock
from exchanges.interactive_brokers.verbs import control_of
from exchanges.launching import Launch, launch

CHAOS = [
    Planned(at=0, do="cut"),
    Planned(at=0, do="fault", body={"on": "*", "kind": "slow", "seconds": 1.5, "times": 5}),
    Planned(at=0, do="fault", body={"on": "placeOrder", "kind": "silent", "times": 1}),
    Planned(at=0, do="fault", body={"on": "placeOrder", "kind": "lost", "times": 1}),
    Planned(at=0, do="fault", body={"on": "cancelOrder", "kind": "hang", "times": 1}),
    Planned(at=0, do="conduct", body={"parts": 3}),
    Planned(at=0, do="conduct", body={"fill_after_cancel": 1}),
    Planned(at=0, do="stream", body={"duplicate": True}),
    Planned(at=0, do="stream", body={"mute": True}),
    Planned(at=0, do="clear"),
    Planned(at=0, do="down", body={"seconds": 3}),
    Planned(at=0, do="lose", body={"what": "venue", "seconds": 3}),
    Planned(at=0, do="lose", body={"what": "market", "seconds": 3}),
]
EXAMPLE = """
Point NautilusTrader's Interactive Brokers clients at it: ibg_host and ibg_port, account_id DU1234567, instruments
AAPL.NASDAQ, MSFT.NASDAQ, EUR/USD.IDEALPRO and the ES future of CME that the ledger names. docs/exchanges-interactive-brokers.md
has the whole configuration, and every verb of the control port:

  curl localhost:9301/                                              what there is
  curl localhost:9301/ledger                                        the truth
  curl localhost:9301/touch -d '{"symbol":"AAPL","bid":"189.9","ask":"190.1"}'
  curl localhost:9301/fault -d '{"on":"placeOrder","kind":"silent","times":1}'
"""


def _new(seed: int, accounts: list[list[str]], deposit: Decimal) -> State:
    names = [name for (name,) in accounts]
    for name in names:
        if not re.fullmatch(r"[A-Z0-9]{3,16}", name):
            raise ValueError(f"--account: {name!r} is not 3 to 16 capitals and digits")
    return new_state(seed, machine_clock(), names, deposit)


def _serve(state: State, options: argparse.Namespace, say: Callable[[str], None]) -> Server:
    return Server(
        state,
        host=options.host,
        port=options.port,
        interval_s=options.interval,
        file=options.state,
        say=say,
    )


GATEWAY = Launch(
    module="exchanges.interactive_brokers",
    title="Interactive Brokers gateway",
    epilog=EXAMPLE,
    port=9300,
    serves="the clients' port",
    currency="USD",
    deposit="1000000",
    account="NAME",
    default_account="DU1234567",
    chaos=CHAOS,
    new=_new,
    load=load_state,
    serve=_serve,
    control=control_of,
    names=lambda state: list(state.accounts),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the gateway until it is told to end. 2 if it cannot be run as it was asked to."""
    return launch(GATEWAY, arguments)


if __name__ == "__main__":
    sys.exit(main())
