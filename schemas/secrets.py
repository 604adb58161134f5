"""What a secret of the store is, and what it is bound to: which adapter may have it, where that may send it, and who trades with it."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from flotilla.schemas.config import AccountName
from flotilla.schemas.states import TradingMode

SIDES: Final = ("data", "execution")
"""The clients of a venue: what stands under one of these names is for that one only."""

AdapterModule: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"\A[A-Za-z_][A-Za-z0-9_]{0,60}(?:\.[A-Za-z_][A-Za-z0-9_]{0,60}){0,8}\Z",
        description="The Python package of an adapter, such as nautilus_trader.adapters.binance.",
    ),
]
Endpoint: TypeAlias = Annotated[
    str,
    Meta(
        # Neither blanks nor `@`, before which a password could stand.
        pattern=r"\A[!-?A-~]{1,300}\Z",
        description="An address as a config field names it: a URL, a host, or host:port. Without a password.",
    ),
]


class SecretBinding(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What a secret may be used for.

    `adapter` is the package that the config classes and factories of its client come from. `endpoints` are the addresses that
    the client's config may name, exactly as they stand here: without any, the adapter's own hold and none may be named.
    `accounts` are those that it may trade; without any, every account. `modes`: live is trading with money, paper all else.
    `is_test_exchange`: whoever stored it says that no money is at the addresses that are among its fields, so that orders may go
    there on paper; it is for no live trading then.
    """

    adapter: AdapterModule
    endpoints: Annotated[tuple[Endpoint, ...], Meta(max_length=64)] = ()
    accounts: Annotated[tuple[AccountName, ...], Meta(max_length=64)] = ()
    modes: Annotated[tuple[TradingMode, ...], Meta(min_length=1, max_length=2)] = (TradingMode.PAPER,)
    is_test_exchange: bool = False

    def __post_init__(self) -> None:
        if self.is_test_exchange and TradingMode.LIVE in self.modes:
            raise ValueError("a secret of a test exchange is for paper trading only")


def fields_of_side(values: Mapping[str, Any], side: Literal["data", "execution"]) -> dict[str, Any]:
    """The fields that a secret has for one of its client's configs: those for both, and over them those of the object `data` or `execution`."""
    common = {
        name: value for name, value in values.items() if not (name in SIDES and isinstance(value, Mapping))
    }
    own = values.get(side)
    return {**common, **own} if isinstance(own, Mapping) else common


class BoundSecret(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the secret store, open: config fields and their values. `binding` is null for one of an earlier release."""

    values: dict[str, Any]
    binding: SecretBinding | None = None

    def __repr__(self) -> str:
        return f"BoundSecret(binding={self.binding!r})"


class StoredSecret(msgspec.Struct, frozen=True, kw_only=True):
    """What may be shown of a secret: its name, the names of its fields, what it is bound to, and what is wrong with it."""

    name: str
    fields: tuple[str, ...] = ()
    binding: SecretBinding | None = None
    problem: str = ""
