"""`flotilla access add`: a token for the REST API and, for an observer that wants them, credentials for the bus."""

import asyncio
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click
from rich.text import Text

from flotilla.bus.bus import connect
from flotilla.bus.files import whole_file
from flotilla.bus.observers import NewObserver, new_observer
from flotilla.bus.settings import BusSettings
from flotilla.bus.tokens import add_token
from flotilla.cli.commands.access import ShownToken, shown_fields, tokens_file, told
from flotilla.cli.options import Options, common, pass_options
from flotilla.cli.options import labels as label_option
from flotilla.schemas.access import Role, read_lifetime
from flotilla.schemas.fault import FaultError, FieldError, invalid
from flotilla.state.settings import Connection, find_connection

_STDOUT: Final = "-"
_ADMITTED_S: Final = 5.0
_NOT_BY_LABEL: Final = (
    "a credential for the bus is good for all engines: what they publish carries an engine's id and not its labels;"
    " a token with labels is for REST alone"
)
_OBSERVERS_ONLY: Final = (
    "credentials for the bus are given to observers only: a call names its engine in the message, where the bus cannot hold anybody"
    " to a role or to labels; REST does that"
)


class NewToken(ShownToken, frozen=True, kw_only=True):
    """With the token itself, the one time that it is known, and where its credentials for the bus are, or what they are."""

    token: str
    bus_file: str | None = None
    bus_credentials: str | None = None


@click.command()
@click.argument("name")
@click.option("--role", type=click.Choice([str(role) for role in Role]), required=True)
@label_option("Only for engines that carry this label; may be given more than once: they carry all.")
@click.option(
    "--expires", metavar="30d", help="When it ends: a number of s, m, h, d or w. Never if left out."
)
@click.option(
    "--bus",
    metavar="FILE",
    help="Write NATS credentials to FILE too, - for stdout behind the token: they hear what engines do (role observer).",
)
@click.option("--replace", is_flag=True, help="Give NAME a new token; the old one stops working at once.")
@common
@pass_options
def add(
    options: Options,
    *,
    name: str,
    role: str,
    labels: dict[str, str],
    expires: str | None,
    bus: str | None,
    replace: bool,
) -> None:
    """Make a token for NAME and print it, this once: only a digest of it is kept.

    \b
    TOKEN=$(flotilla access add desk-a --role trader --label desk=a --expires 30d)
    flotilla access add feed --role observer --bus feed.creds
    """
    _check_bus(bus, Role(role), labels, replace=replace)
    now = datetime.now(UTC)
    lifetime = None if expires is None else read_lifetime(expires, "--expires")
    observer = new_observer(name, now, now + lifetime if lifetime else None) if bus is not None else None
    with _credentials_file(bus, observer):
        token, record = add_token(
            tokens_file(options),
            name,
            Role(role),
            now=now,
            labels=labels,
            lifetime=lifetime,
            bus=observer.keys if observer else None,
            replace=replace,
        )
    creds = observer.creds if observer and bus == _STDOUT else None
    if options.is_json:
        made = NewToken(
            token=token,
            bus_file=None if bus == _STDOUT else bus,
            bus_credentials=creds,
            **shown_fields(record),
        )
        options.output.json_line(made)
    else:
        options.output.show(Text(f"{token}\n{creds}" if creds else token, overflow="ignore", no_wrap=True))
        print(f"{told(record)}; the token is shown this once", file=sys.stderr)
    if observer:
        _tell_of_the_bus(options, observer)


def _check_bus(bus: str | None, role: Role, labels: Mapping[str, str], *, replace: bool) -> None:
    """Raises FaultError for what cannot be, before anything is made."""
    if bus is None:
        return
    if role != Role.OBSERVER:
        raise invalid(FieldError("--bus", _OBSERVERS_ONLY))
    if labels:
        raise invalid(FieldError("--label", _NOT_BY_LABEL))
    if bus != _STDOUT and not replace and os.path.lexists(bus):
        raise invalid(FieldError("--bus", f"{bus} is there already, and is written over with --replace only"))


@contextmanager
def _credentials_file(bus: str | None, observer: NewObserver | None) -> Iterator[None]:
    """Puts the file in place when the block ends well, for its owner's eyes only. Raises OSError."""
    if observer is None or bus is None or bus == _STDOUT:
        yield
        return
    with whole_file(Path(bus)) as made:
        with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(observer.creds)
        yield


def _tell_of_the_bus(options: Options, observer: NewObserver) -> None:
    """Says where the bus is, once it lets the observer in; when it does not, says that it will."""
    try:
        connection = find_connection(options.state)
    except FaultError:
        print("the bus lets it in from the next `flotilla up` on", file=sys.stderr)
        return
    # It is refused until the supervisor has told the server.
    logging.getLogger("flotilla.bus").setLevel(logging.ERROR)
    try:
        asyncio.run(_be_let_in(connection, observer))
    except FaultError as error:
        print(
            f"warning: the bus at {connection.nats_url} does not let it in yet: that is up to the supervisor ({error})",
            file=sys.stderr,
        )
    else:
        print(f"the bus at {connection.nats_url} lets it in", file=sys.stderr)


async def _be_let_in(connection: Connection, observer: NewObserver) -> None:
    """Raises FaultError `unavailable` when that does not happen in time."""
    settings = BusSettings(url=connection.nats_url, name="observer", creds=observer.creds)
    await (await connect(settings, wait_s=_ADMITTED_S)).close()
