"""Names that a shell offers while one types: asked of the fleet, within a moment.

A fleet that does not answer has nothing to offer, and says nothing: whatever were printed would stand in the line that is being typed.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, TypeAlias

import click
from click.shell_completion import CompletionItem

from flotilla.cli.options import Options
from flotilla.client.client import Flotilla
from flotilla.schemas.fault import FaultError
from flotilla.state.errors import StackError

_WITHIN_S: Final = 1.5
_MOST: Final = 1000

_Names: TypeAlias = Callable[[Flotilla], Awaitable[Iterable[tuple[str, str]]]]


async def _engines(fleet: Flotilla) -> Iterable[tuple[str, str]]:
    found = (await fleet.engines(limit=_MOST)).engines
    return ((each.instance_id, str(each.session.state) if each.session else "") for each in found)


async def _backtests(fleet: Flotilla) -> Iterable[tuple[str, str]]:
    return ((each.backtest_id, str(each.status)) for each in (await fleet.backtests()).backtests)


async def _studies(fleet: Flotilla) -> Iterable[tuple[str, str]]:
    return ((each.study_id, str(each.status)) for each in (await fleet.studies()).studies)


async def _strategies(fleet: Flotilla) -> Iterable[tuple[str, str]]:
    found = (await fleet.templates("strategy")).templates
    return ((each.name, each.description.partition("\n")[0]) for each in found)


async def _asked(options: Options, names: _Names) -> Iterable[tuple[str, str]]:
    async with (
        asyncio.timeout(_WITHIN_S),
        Flotilla.connect(options.state, wait_s=_WITHIN_S, via="cli") as fleet,
    ):
        return await names(fleet)


def _offered(names: _Names) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    def offer(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        logging.disable(logging.CRITICAL)
        options = context.find_object(Options) or Options()
        given: Any = context.params.get(parameter.name or "") or ()
        try:
            found = asyncio.run(_asked(options, names))
        except (FaultError, StackError, OSError, TimeoutError):
            return []
        return [
            CompletionItem(name, help=text)
            for name, text in found
            if name.startswith(incomplete) and name not in given
        ]

    return offer


engine_names = _offered(_engines)
backtest_names = _offered(_backtests)
study_names = _offered(_studies)
strategy_names = _offered(_strategies)
"""Each is the `shell_complete` of an argument or an option."""
