"""Running an exchange from the command line: options, ports, signals, schedules."""

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Protocol

import msgspec

from exchanges.control import Control, Refused, read_schedule
from exchanges.core.faults import Planned, seeded_schedule
from exchanges.listening import Port


class Runs(Protocol):
    """An exchange on its port."""

    @property
    def number(self) -> int: ...
    async def open(self) -> None: ...
    async def run(self) -> None: ...
    async def close(self) -> None: ...


class Launch[S, R: Runs](msgspec.Struct, frozen=True, kw_only=True):
    """What is run: its words, its defaults, and how it is made. `account` is the form of an account, its parts parted by colons."""

    module: str
    title: str
    epilog: str
    port: int
    serves: str = "REST and WebSockets"
    currency: str = "USDT"
    deposit: str = "100000"
    account: str
    default_account: str
    chaos: Sequence[Planned]
    new: Callable[[int, list[list[str]], Decimal], S]
    load: Callable[[Path], S]
    serve: Callable[[S, argparse.Namespace, Callable[[str], None]], R]
    control: Callable[[R], Control]
    names: Callable[[S], Sequence[str]]


def parser[S, R: Runs](launch: Launch[S, R]) -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(
        prog=f"python -m {launch.module}",
        description=f"{launch.title} on this machine: real protocol, no money.",
        epilog=launch.epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("--host", default="127.0.0.1", help="the address to listen on (default 127.0.0.1)")
    options.add_argument(
        "--port",
        type=int,
        default=launch.port,
        help=f"{launch.serves} (default {launch.port}; 0 takes a free one)",
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
    options.add_argument(
        "--deposit", help=f"{launch.currency} of each account at the start (default {launch.deposit})"
    )
    options.add_argument(
        "--account",
        action="append",
        metavar=launch.account,
        help=f"an account; may be repeated (default {launch.default_account})",
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


def launch[S, R: Runs](launch: Launch[S, R], arguments: Sequence[str] | None) -> int:
    """Runs the exchange until it is told to end. 2 if it cannot be run as it was asked to."""
    options = parser(launch).parse_args(arguments)
    try:
        _check(options)
        state = _state(launch, options)
        schedule = read_schedule(options.faults) if options.faults else []
        if options.chaos is not None:
            schedule += seeded_schedule(options.seed, options.chaos, 86_400, launch.chaos)
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_serve(launch, options, state, schedule))
    except (ValueError, OSError, Refused) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def _state[S, R: Runs](launch: Launch[S, R], options: argparse.Namespace) -> S:
    if options.state is not None and options.state.exists():
        for name in ("account", "deposit"):
            if getattr(options, name) is not None:
                raise ValueError(f"--{name}: {options.state} has its accounts already")
        return launch.load(options.state)
    accounts = [_account(launch, text) for text in options.account or [launch.default_account]]
    names = [account[0] for account in accounts]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"--account: {twice!r} is there twice")
    keys = [account[1] for account in accounts if len(account) > 1]
    if len(set(keys)) < len(keys):
        raise ValueError("--account: two accounts have one key")
    return launch.new(options.seed, accounts, _deposit(options.deposit or launch.deposit))


def _check(options: argparse.Namespace) -> None:
    if not 0.01 <= options.interval <= 60:
        raise ValueError(f"--interval: {options.interval} is not between 0.01 and 60 seconds")
    for name in ("port", "control_port"):
        number = getattr(options, name)
        if number is not None and not 0 <= number <= 65_535:
            raise ValueError(f"--{name.replace('_', '-')}: {number} is no port")


def _account[S, R: Runs](launch: Launch[S, R], text: str) -> list[str]:
    parts, wanted = text.split(":"), launch.account.count(":") + 1
    if (
        len(parts) != wanted
        or not all(parts)
        or not all(part.isascii() and part.isprintable() for part in parts)
    ):
        raise ValueError(f"--account: {launch.account}, none of them empty")
    return parts


def _deposit(text: str) -> Decimal:
    try:
        deposit = Decimal(text)
    except InvalidOperation:
        deposit = Decimal("NaN")
    if not deposit.is_finite() or deposit < 0:
        raise ValueError(f"--deposit: {text!r} is not an amount")
    return deposit


async def _serve[S, R: Runs](
    launch: Launch[S, R], options: argparse.Namespace, state: S, schedule: list[Planned]
) -> None:
    server = launch.serve(state, options, (lambda _: None) if options.quiet else _say)
    control = launch.control(server)
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
        names = ", ".join(launch.names(state))
        _say(f"{launch.title} on port {server.number}, control on port {port.number}; accounts: {names}")
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(server.run(), name="exchange"),
                tasks.create_task(control.run(lines, _say), name="schedule"),
            ]
            await ends.wait()
            for task in running:
                task.cancel()
    finally:
        await port.close()
        await server.close()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
