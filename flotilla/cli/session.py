"""One command's conversation with the fleet."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import update_wrapper
from typing import Any, Concatenate, Final, ParamSpec

from flotilla.cli.options import Options
from flotilla.client.client import Flotilla

P = ParamSpec("P")

_CONNECT_S: Final = 3.0


def with_fleet(
    work: Callable[Concatenate[Options, Flotilla, P], Coroutine[Any, Any, int | None]],
) -> Callable[Concatenate[Options, P], int | None]:
    """Makes a command of an async function, which gets the options and a connected client first.

    What it returns is the command's exit code; None is 0.
    """

    async def connected(options: Options, *args: P.args, **kwargs: P.kwargs) -> int | None:
        # The connection's own warnings, as plain sentences on stderr.
        logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
        async with Flotilla.connect(options.state, wait_s=_CONNECT_S, via="cli") as fleet:
            return await work(options, fleet, *args, **kwargs)

    def command(options: Options, /, *args: P.args, **kwargs: P.kwargs) -> int | None:
        return asyncio.run(connected(options, *args, **kwargs))

    update_wrapper(command, work)
    return command
