"""`python -m exchanges.interactive_brokers`: an Interactive Brokers gateway on this machine, to try and to rehearse on."""

import argparse
import asyncio
import contextlib
import re
import signal
import sys
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path

from exchanges.control import Refused, read_schedule
from exchanges.core.faults import Planned, seeded_schedule
from exchanges.interactive_brokers.core.gateway import new_state
from exchanges.interactive_brokers.core.state import State
from exchanges.interactive_brokers.server import Server, load_state, machine_clock
from exchanges.interactive_brokers.verbs import control_of
from exchanges.listening import Port

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
AAPL.NASDAQ, MSFT.NASDAQ, EUR/USD.IDEALPRO and the ES future of CME that the ledger names. docs/exchanges.md has the
whole configuration, and every verb of the control port:

  curl localhost:9301/                                              what there is
  curl localhost:9301/ledger                                        the truth
  curl localhost:9301/touch -d '{"symbol":"AAPL","bid":"189.9","ask":"190.1"}'
  curl localhost:9301/fault -d '{"on":"placeOrder","kind":"silent","times":1}'
"""


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(
        prog="python -m exchanges.interactive_brokers",
        description="An Interactive Brokers gateway on this machine: real protocol, no money.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("--host", default="127.0.0.1", help="the address to listen on (default 127.0.0.1)")
    options.add_argument(
        "--port", type=int, default=9300, help="the clients' port (default 9300; 0 takes a free one)"
    )
    options.add_argument(
        "--control-port",
        type=int,
        help="faults and the ledger, without a password (default: the port after; 0 takes a free one)",
    )
    options.add_argument(
        "--seed",
        type=int,
        default=1,
        help="decides the faults of --chaos, and the prices unless --state has them (default 1)",
    )
    options.add_argument("--deposit", help="USD of each account at the start (default 1000000)")
    options.add_argument(
        "--account", action="append", metavar="NAME", help="an account; may be repeated (default DU1234567)"
    )
    options.add_argument(
        "--interval", type=float, default=0.25, help="seconds between two moves of the market (default 0.25)"
    )
    options.add_argument(
        "--state", type=Path, metavar="FILE", help="keep everything in a file, and go on from it"
    )
    options.add_argument(
        "--faults", type=Path, metavar="FILE", help="a schedule: a JSON array of {at, do, body}"
    )
    options.add_argument(
        "--chaos",
        type=float,
        metavar="SECONDS",
        help="a fault that the seed chooses, every so many seconds on average",
    )
    options.add_argument("--quiet", action="store_true", help="print no orders and fills")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the gateway until it is told to end. 2 if it cannot be run as it was asked to."""
    options = parser().parse_args(arguments)
    try:
        _check(options)
        state = _state(options)
        schedule = read_schedule(options.faults) if options.faults else []
        if options.chaos is not None:
            schedule += seeded_schedule(options.seed, options.chaos, 86_400, CHAOS)
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_serve(options, state, schedule))
    except (ValueError, OSError, Refused) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def _state(options: argparse.Namespace) -> State:
    if options.state is not None and options.state.exists():
        for name in ("account", "deposit"):
            if getattr(options, name) is not None:
                raise ValueError(f"--{name}: {options.state} has its accounts already")
        return load_state(options.state)
    accounts = options.account or ["DU1234567"]
    for name in accounts:
        if not re.fullmatch(r"[A-Z0-9]{3,16}", name) or accounts.count(name) > 1:
            raise ValueError(f"--account: {name!r} is not 3 to 16 capitals and digits, or there twice")
    return new_state(options.seed, machine_clock(), accounts, _deposit(options.deposit or "1000000"))


def _check(options: argparse.Namespace) -> None:
    if not 0.01 <= options.interval <= 60:
        raise ValueError(f"--interval: {options.interval} is not between 0.01 and 60 seconds")
    for name in ("port", "control_port"):
        number = getattr(options, name)
        if number is not None and not 0 <= number <= 65_535:
            raise ValueError(f"--{name.replace('_', '-')}: {number} is no port")


def _deposit(text: str) -> Decimal:
    try:
        deposit = Decimal(text)
    except InvalidOperation:
        deposit = Decimal("NaN")
    if not deposit.is_finite() or deposit < 0:
        raise ValueError(f"--deposit: {text!r} is not an amount")
    return deposit


async def _serve(options: argparse.Namespace, state: State, schedule: list[Planned]) -> None:
    server = Server(
        state,
        host=options.host,
        port=options.port,
        interval_s=options.interval,
        file=options.state,
        say=(lambda _: None) if options.quiet else _say,
    )
    control = control_of(server)
    lines = control.check(schedule)
    chosen = (
        options.control_port
        if options.control_port is not None
        else (options.port + 1 if options.port else 0)
    )
    port = Port(control.application(), options.host, chosen)
    loop, ends = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ends.set)
    await server.open()
    try:
        await port.open()
        _announce(server, port)
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(server.run(), name="gateway"),
                tasks.create_task(control.run(lines, _say), name="schedule"),
            ]
            await ends.wait()
            for task in running:
                task.cancel()
    finally:
        await port.close()
        server.down(0)


def _announce(server: Server, control: Port) -> None:
    accounts = ", ".join(server.gateway.venue.state.accounts)
    _say(
        f"Interactive Brokers gateway on port {server.number}, control on port {control.number}; accounts: {accounts}"
    )


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
