"""What a venue is asked for its instruments with: its adapter's data client, and a secret of the store where one is named."""

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final

import msgspec

from flotilla.cli.engine_options import pairs
from flotilla.schemas.fault import FaultCode, FaultError, FieldError, fault, invalid
from flotilla.schemas.instrument import ListVenue, VenueList, VenueRefused
from flotilla.schemas.secrets import BoundSecret
from flotilla.schemas.states import TradingMode
from flotilla.state.adapters import adapter_module, venue_templates
from flotilla.state.environment import of_foreign
from flotilla.state.errors import ProgramFailedError
from flotilla.state.folder import StateFolder
from flotilla.state.programs import output_lines, python
from flotilla.state.secret_places import secret_store

VENUE: Final = "ADAPTER[,KEY=VALUE…]"
_PROGRAM: Final = ("-m", "flotilla.engine_sidecar.engine.instrument_listing")
_PATIENCE_S: Final = 90.0
"""More than the program takes before it gives up by itself."""
_PLACES: Final = ("url", "host", "port", "proxy", "gateway", "endpoint", "address")


def list_venue(folder: StateFolder, venue: str, match: tuple[str, ...], secret: str | None) -> ListVenue:
    """What the options come to. Raises FaultError `invalid` naming the option, click.UsageError."""
    name, *more = venue.split(",")
    templates = venue_templates()
    if name not in templates:
        raise _wrong("venue", f"must be one of {', '.join(sorted(templates))}, not {name!r}")
    template, given = templates[name], pairs(more, "--venue")
    if (client := template.get("data")) is None:
        raise _wrong("venue", f"{name} has no data client, which its instruments would come from")
    if credentials := [field for field in template.get("credentials", ()) if field in given]:
        raise _wrong("venue", f"{credentials[0]} may only come from a secret: give --secret NAME")
    if secret is None and template.get("data_needs_secret"):
        raise _wrong("secret", f"must be given: {name} gives nothing without a key")
    bound = None if secret is None else _bound(folder, secret, name, given)
    is_live = bound is None or (bound.binding is not None and TradingMode.LIVE in bound.binding.modes)
    by_mode = template.get("live" if is_live else "paper") or {}
    config = {**template["defaults"]["data"], **by_mode.get("data", {}), **given}
    return ListVenue(
        adapter=name,
        path=client["path"],
        factory=client["factory"],
        config=config,
        secret=bound.values if bound else {},
        match=match,
    )


def _bound(folder: StateFolder, secret: str, adapter: str, given: dict[str, Any]) -> BoundSecret:
    """The secret, if it is for this adapter, and nothing beside it says where it would be sent. Raises FaultError `invalid`."""
    found = secret_store(folder).read([secret])[secret]
    if found.binding is None:
        raise _wrong("secret", f"{secret} is bound to no adapter: flotilla secret bind {secret}")
    if found.binding.adapter != adapter_module(adapter):
        raise _wrong("secret", f"{secret} is bound to another adapter: {found.binding.adapter}")
    for field, value in given.items():
        if any(word in field.lower() for word in _PLACES) or "://" in str(value):
            raise _wrong(
                "venue", f"{field} may say where {secret} is sent: put it into the secret, or give none"
            )
    return found


async def listed(order: ListVenue, file: Path) -> VenueList:
    """Puts the instruments into `file`, one a line, and returns what else was said. Raises FaultError where there is no list."""
    last = b""
    try:
        async with asyncio.timeout(_PATIENCE_S), aclosing(_said(order)) as lines:
            with file.open("wb") as kept:
                async for line in lines:
                    if last:
                        kept.write(last + b"\n")
                    last = line.encode()
    except TimeoutError:
        why = f"{order.adapter} did not list its instruments within {_PATIENCE_S:g} s"
        raise fault(FaultCode.UNAVAILABLE, why) from None
    except ProgramFailedError as failed:
        try:
            refused = msgspec.json.decode(last, type=VenueRefused)
        except msgspec.MsgspecError:
            raise failed from None
        code = FaultCode.UNAVAILABLE if refused.is_away else FaultCode.INVALID
        raise fault(code, refused.message) from None
    return msgspec.json.decode(last, type=VenueList)


def _said(order: ListVenue) -> Any:
    # The key goes by stdin: a command line is everybody's to read.
    return output_lines(python(*_PROGRAM), env=of_foreign(), given=msgspec.json.encode(order) + b"\n")


def _wrong(field: str, problem: str) -> FaultError:
    return invalid(FieldError(field, problem))
