"""Templates and the data catalog, as people ask for them; and how a catalog's file names are read."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from schemas.ids import Name


class Parameter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One typed parameter of a template. `type` is one of integer, number, decimal, boolean, string, instrument, bar_type."""

    type: Annotated[str, Meta(pattern=r"\A(?:integer|number|decimal|boolean|string|instrument|bar_type)\Z")]
    help: str
    default: Any = None
    required: bool = False
    min: float | None = None
    max: float | None = None
    choices: tuple[str, ...] = ()


class ListTemplates(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for the templates of one kind."""

    kind: Annotated[str, Meta(pattern=r"\A(?:engine|strategy)\Z")] = "strategy"


class TemplateView(msgspec.Struct, frozen=True, kw_only=True):
    """A template that was loaded and found sound."""

    name: Name
    kind: str
    file: str
    description: str
    parameters: dict[str, Parameter]
    strategy_class: str | None = None
    risk_parameters: dict[str, Any] = {}


class TemplateList(msgspec.Struct, frozen=True, kw_only=True):
    """Templates, sorted by name."""

    templates: tuple[TemplateView, ...]


class ListCatalog(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks what the data catalog holds."""


class CatalogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One data set: its type (bars, quotes, trades), what it is of, and the range of its files."""

    data_type: str
    identifier: str
    instrument_id: str
    start: datetime
    end: datetime
    files: int
    size_bytes: int


class CatalogView(msgspec.Struct, frozen=True, kw_only=True):
    """What a catalog holds, sorted by data type and identifier."""

    path: str
    entries: tuple[CatalogEntry, ...]


_FOLDERS = {"bar": "bars", "quote_tick": "quotes", "trade_tick": "trades"}
_STAMP = r"(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d)-(\d{9})Z"
_FILE = re.compile(rf"\A{_STAMP}_{_STAMP}\.parquet\Z")
_BAR_SUFFIX = re.compile(r"(?:-[^-]+){4}\Z")


def catalog_entries(files: list[tuple[str, int]]) -> tuple[CatalogEntry, ...]:
    """What a NautilusTrader Parquet catalog holds, from its files as (path relative to the catalog, bytes).

    NautilusTrader writes `data/<type>/<identifier>/<first>_<last>.parquet`, times in the name to the nanosecond; other files
    are passed over.
    """
    found: dict[tuple[str, str], list[tuple[datetime, datetime, int]]] = {}
    for path, size in files:
        parts = path.split("/")
        match = _FILE.match(parts[-1])
        if len(parts) == 4 and parts[0] == "data" and parts[1] in _FOLDERS and match:
            found.setdefault((_FOLDERS[parts[1]], parts[2]), []).append(
                (_time(match[1]), _time(match[3]), size)
            )
    return tuple(
        CatalogEntry(
            data_type=data_type,
            identifier=identifier,
            instrument_id=_BAR_SUFFIX.sub("", identifier) if data_type == "bars" else identifier,
            start=min(start for start, _, _ in ranges),
            end=max(end for _, end, _ in ranges),
            files=len(ranges),
            size_bytes=sum(size for _, _, size in ranges),
        )
        for (data_type, identifier), ranges in sorted(found.items())
    )


def _time(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H-%M-%S").replace(tzinfo=UTC)
