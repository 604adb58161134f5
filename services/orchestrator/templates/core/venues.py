"""Venues by the adapter's name: what an adapter's file may say, and the clients of a node that an operator's choice makes of it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from flotilla.schemas.ids import Name

type ImportPath = Annotated[str, Meta(pattern=r"\A[A-Za-z_][\w.]{0,200}:[A-Za-z_]\w{0,100}\Z")]
type Side = Literal["data", "execution"]
_ADDRESS_WITH_PASSWORD: Final = re.compile(r"[A-Za-z][\w+.-]*://[^/@:]*:[^/@]+@")


class VenueClient(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The config class and the factory of one of an adapter's clients."""

    path: ImportPath
    factory: ImportPath


class BySide(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings for an adapter's data client and for its execution client."""

    data: dict[str, Any] = {}
    execution: dict[str, Any] = {}

    def of(self, side: Side) -> dict[str, Any]:
        """Those of one side."""
        return self.data if side == "data" else self.execution


class VenueTemplate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An adapter of NautilusTrader. `data` or `execution` is null where it has no such client.

    `paper` and `live` go over `defaults` by trading mode; `paper` null: the venue has no paper trading of its own, so that
    only simulated execution trades no money there. `paper_choices` lists, by field, other values than `paper`'s that trade no money
    either. `is_always_open`: its market never closes, so that a bar that does not come is missing. `credentials` are config fields that only a secret may hold; execution needs one if `needs_secret` (data, where
    there is no execution), data beside it if `data_needs_secret`. `account_field` of the execution config takes the account.
    """

    name: Name
    description: str
    data: VenueClient | None = None
    execution: VenueClient | None = None
    defaults: BySide = BySide()
    paper: BySide | None = None
    live: BySide | None = None
    paper_choices: dict[str, tuple[Any, ...]] = {}
    credentials: tuple[str, ...] = ()
    needs_secret: bool = False
    data_needs_secret: bool = False
    needs_account: bool = False
    account_field: str | None = None
    has_egress: bool = True
    is_always_open: bool = False

    def client(self, side: Side) -> VenueClient | None:
        """The client of one side, if the adapter has it."""
        return self.data if side == "data" else self.execution

    def needs_secret_for(self, side: Side) -> bool:
        """True when the client of that side cannot do without credentials."""
        if side == "execution" or self.execution is None:
            return self.needs_secret
        return self.data_needs_secret

    def problems(self) -> Iterator[str]:
        """What is wrong with it beyond its form."""
        if self.data is None and self.execution is None:
            yield "it has neither a data nor an execution client"
        if self.needs_account and self.execution is None:
            yield "needs_account, and it has no execution client"
        settings = (self.defaults, self.paper or BySide(), self.live or BySide())
        for side in ("data", "execution"):
            given = [each.data if side == "data" else each.execution for each in settings]
            if self.client(side) is None and any(given):
                yield f"it has settings for {side}, and no such client"
            for field in fields_within(given, self.credentials):
                yield f"{field} is a credential, and has a value"


def fields_within(body: Any, names: Sequence[str]) -> list[str]:
    """Those of the names that are fields somewhere in a body, however deep."""
    return list(dict.fromkeys(name for name, _ in _fields(body) if name in names))


def with_password(body: Any) -> list[str]:
    """The fields of a body, however deep, that hold an address with a password in it, such as that of a proxy."""
    return list(dict.fromkeys(name for name, value in _fields(body) if _has_password(value)))


def _fields(body: Any) -> Iterator[tuple[str, Any]]:
    level = [body]
    while level:
        below: list[Any] = []
        for each in level:
            if isinstance(each, Mapping):
                yield from each.items()
                below += each.values()
            elif isinstance(each, list | tuple):
                below += each
        level = below


def _has_password(value: Any) -> bool:
    texts = value if isinstance(value, list | tuple) else [value]
    return any(isinstance(text, str) and _ADDRESS_WITH_PASSWORD.match(text) for text in texts)
