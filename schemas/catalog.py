"""Templates and the data catalog, as people ask for them; and how a catalog's file names are read."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from flotilla.schemas.fault import FieldError
from flotilla.schemas.ids import Name, StrategyName

_FOLDERS = {
    "bar": "bars",
    "funding_rate_update": "funding_rates",
    "index_price_update": "index_prices",
    "instrument_close": "instrument_closes",
    "instrument_status": "instrument_status",
    "mark_price_update": "mark_prices",
    "order_book_deltas": "order_book_deltas",
    "order_book_depths": "order_book_depths",
    "quote_tick": "quotes",
    "trade_tick": "trades",
}
EVENT_FOLDERS: Final = tuple(_FOLDERS)
"""Below `data/` of a catalog: what holds events that can be run. The others are of instruments, or are not run.

Sorted alike by folder and by data type: in this order come events of one moment, in backtests and in replays."""
_CUSTOM: Final = "custom_"
_STAMP = r"(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d)-(\d{9})Z"
_FILE = re.compile(rf"\A{_STAMP}_{_STAMP}\.parquet\Z")
_BAR_SUFFIX = re.compile(r"(?:-[^-]+){4}\Z")
FOREVER: Final = (1 << 63) - 1
"""The last moment (UNIX ns) that data can have."""
NAMES_FILE: Final = "names.json"
"""Beside `data/` in a catalog: which identifier a folder stands for where NautilusTrader left a slash out of its name."""
ATTACHED_FILE: Final = "attached.json"
"""Beside `data/` in a catalog: the catalogs of others that files in it are links to."""


ParameterType: TypeAlias = Literal[
    "integer",
    "number",
    "decimal",
    "boolean",
    "string",
    "instrument",
    "bar_type",
    "enum",
    "date",
    "datetime",
    "duration",
    "list",
    "map",
    "object",
    "any",
]


class Parameter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One typed parameter of a template.

    Decimals are strings, dates and moments ISO 8601, a duration as `PT5M`, an enum one of its `choices`, and `codes` has what its class
    takes for them where that is something else. `items` is what a list, or a map by text, holds; `fields` what an object does. `above` and
    `below` are bounds that are not reached themselves.
    """

    type: ParameterType
    help: str
    default: Any = None
    required: bool = False
    min: float | None = None
    max: float | None = None
    choices: tuple[str, ...] = ()
    above: float | None = None
    below: float | None = None
    codes: dict[str, Any] = {}
    items: "Parameter | None" = None
    fields: dict[str, "Parameter"] = {}


class ListTemplates(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for the templates of one kind, or for the one that goes by `name`, an older version of a package's strategy too."""

    kind: Annotated[str, Meta(pattern=r"\A(?:engine|strategy)\Z")] = "strategy"
    name: StrategyName | None = None


class TemplateView(msgspec.Struct, frozen=True, kw_only=True):
    """A template whose file is sound. `is_checked` is false as long as NautilusTrader has not said whether its classes are there.

    `package` is the version that a strategy of a package is of, such as mine@2.
    """

    name: Name
    kind: str
    file: str
    description: str
    parameters: dict[str, Parameter]
    strategy_class: str | None = None
    risk_parameters: dict[str, Any] = {}
    config: dict[str, Any] = {}
    engine_type: str | None = None
    trading_mode: str | None = None
    is_checked: bool = False
    package: str | None = None


class TemplateFault(msgspec.Struct, frozen=True, kw_only=True):
    """A template file that is not served, and why."""

    file: str
    kind: str
    message: str


class TemplateList(msgspec.Struct, frozen=True, kw_only=True):
    """Templates, sorted by name; and the files of the same kind that are not served."""

    templates: tuple[TemplateView, ...]
    faults: tuple[TemplateFault, ...] = ()


class ValidateStrategy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks whether a strategy template takes these parameters; nothing is started."""

    strategy_name: StrategyName
    parameters: dict[str, Any] = {}


class StrategyVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the parameters are sound: everything that is wrong at once, and the config they make when nothing is."""

    is_valid: bool
    message: str
    required_parameters: tuple[str, ...] = ()
    missing_parameters: tuple[str, ...] = ()
    errors: tuple[FieldError, ...] = ()
    config: dict[str, Any] | None = None


class ListCatalog(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks what the data catalog holds."""


class CatalogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One data set: its type (a DataKind), what it is of, and the range of its files.

    Rows of a class that is not NautilusTrader's have the name of their folder for a type, such as custom_news, and no identifier where
    they are of no instrument. `known_by` are the packages' classes that read them (`mine@2:News`): none, and nothing can be run on them;
    null for all other data, and where no orchestrator was asked.
    `attached` names the attached catalog that it lies in, and is empty for what was imported.
    """

    data_type: str
    identifier: str
    instrument_id: str
    start: datetime
    end: datetime
    files: int
    size_bytes: int
    attached: str = ""
    known_by: tuple[str, ...] | None = None

    @property
    def is_custom(self) -> bool:
        """True of rows of a class that is not NautilusTrader's."""
        return is_custom(self.data_type)


class UnusableData(msgspec.Struct, frozen=True, kw_only=True):
    """A file or folder of an attached catalog that nothing can be run on, and why; `path` is within that catalog."""

    path: str
    why: str


class AttachedCatalog(msgspec.Struct, frozen=True, kw_only=True):
    """A NautilusTrader catalog that is used where it lies. `is_there` is false while its folder cannot be seen."""

    name: str
    path: str
    unusable: tuple[UnusableData, ...] = ()
    is_there: bool = True


class CatalogView(msgspec.Struct, frozen=True, kw_only=True):
    """What a catalog holds, sorted by data type and identifier, with the catalogs that are attached to it."""

    path: str
    entries: tuple[CatalogEntry, ...]
    attached: tuple[AttachedCatalog, ...] = ()


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """No event between two moments (UNIX ns)."""

    first_ns: int
    last_ns: int


class BadValue(msgspec.Struct, frozen=True, kw_only=True):
    """An event that no market can have made, and why."""

    at_ns: int
    why: str


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What a check found in one data set. Of gaps and bad values the first few are given, all are counted."""

    data_type: str
    identifier: str
    events: int
    usual_s: float | None = None
    gap_count: int = 0
    bad_count: int = 0
    gaps: tuple[Gap, ...] = ()
    bad: tuple[BadValue, ...] = ()

    @property
    def is_sound(self) -> bool:
        """True when there is no bad value; a gap may be a weekend."""
        return self.bad_count == 0


def is_custom(folder: str) -> bool:
    """Whether a folder below `data/` has rows of a class that is not NautilusTrader's; a type of data is called as its folder then."""
    return folder.startswith(_CUSTOM)


def is_of_class(data_type: str, name: str) -> bool:
    """Whether NautilusTrader keeps rows of a class called so in this folder: `custom_news_item` for NewsItem."""
    return (
        is_custom(data_type)
        and data_type.removeprefix(_CUSTOM).replace("_", "") == name.replace("_", "").lower()
    )


def has_events(folder: str) -> bool:
    """False for a folder below `data/` that defines instruments."""
    return folder in _FOLDERS or is_custom(folder)


def market_data(entries: Iterable[CatalogEntry]) -> tuple[CatalogEntry, ...]:
    """The data sets that are not of a class of somebody's own."""
    return tuple(one for one in entries if not one.is_custom)


def data_folder_name(data_type: str) -> str:
    """The folder below `data/` that holds a type of data: `bar` for bars. Raises KeyError."""
    if is_custom(data_type):
        return data_type
    return {kind: folder for folder, kind in _FOLDERS.items()}[data_type]


def folder_name(identifier: str) -> str:
    """The folder NautilusTrader keeps an instrument or bar type in: the slashes are left out, `EURUSD.SIM` for `EUR/USD.SIM`.

    To ask whether a catalog has an identifier, compare folder names: what the slash parted is not to be told from a folder.
    """
    return identifier.replace("/", "")


def file_interval(name: str) -> tuple[int, int] | None:
    """The times (UNIX ns) of the first and last event in a catalog file, from its name; None for any other file."""
    match = _FILE.match(name)
    return (_time_ns(match[1], match[2]), _time_ns(match[3], match[4])) if match else None


def file_name(first_ns: int, last_ns: int) -> str:
    """What NautilusTrader calls a file whose events are from `first_ns` to `last_ns` (UNIX ns)."""
    return f"{_stamp(first_ns)}_{_stamp(last_ns)}.parquet"


def _stamp(ns: int) -> str:
    return f"{datetime.fromtimestamp(ns // 1_000_000_000, UTC):%Y-%m-%dT%H-%M-%S}-{ns % 1_000_000_000:09}Z"


def folder_names(text: bytes) -> dict[str, str]:
    """What a catalog's NAMES_FILE says. Raises msgspec.DecodeError for what is no such file."""
    return msgspec.json.decode(text, type=dict[str, str])


def attached_catalogs(text: bytes) -> tuple[AttachedCatalog, ...]:
    """What a catalog's ATTACHED_FILE says. Raises msgspec.DecodeError for what is no such file."""
    return msgspec.json.decode(text, type=tuple[AttachedCatalog, ...])


def attached_from(target: str, attached: Iterable[AttachedCatalog]) -> str:
    """The name of the attached catalog that a link to `target` leads into; empty when it is none of them."""
    return next((one.name for one in attached if target.startswith(f"{one.path}/")), "")


def catalog_entries(
    files: list[tuple[str, int]],
    names: Mapping[str, str] | None = None,
    sources: Mapping[str, str] | None = None,
) -> tuple[CatalogEntry, ...]:
    """What a NautilusTrader Parquet catalog holds, from its files as (path relative to the catalog, bytes).

    NautilusTrader writes `data/<type>/<folder>/<first>_<last>.parquet`, without a folder for rows of a class of somebody's own that are of
    no instrument; times in the name to the nanosecond; other files are passed over. `names` gives the identifier of a folder where the two differ (see `folder_name`); imports keep it in
    the catalog as `names.json`. Without it the folder's name stands for the identifier. `sources` gives the attached catalog
    that a folder such as `data/bar/X` is from.
    """
    found: dict[tuple[str, str, str], list[tuple[int, int, int]]] = {}
    for path, size in files:
        parts = path.split("/")
        interval = file_interval(parts[-1])
        if interval and (place := _place(parts)):
            folder, name = place
            source = (sources or {}).get("/".join(parts[:-1]), "")
            one = _FOLDERS.get(folder, folder), (names or {}).get(name, name), source
            found.setdefault(one, []).append((*interval, size))
    return tuple(
        CatalogEntry(
            data_type=data_type,
            identifier=identifier,
            instrument_id=_instrument(data_type, identifier),
            start=_moment(min(start for start, _, _ in ranges)),
            end=_moment(max(end for _, end, _ in ranges)),
            files=len(ranges),
            size_bytes=sum(size for _, _, size in ranges),
            attached=source,
        )
        for (data_type, identifier, source), ranges in sorted(found.items())
    )


def _place(parts: list[str]) -> tuple[str, str] | None:
    """The folder of the type, and that of the identifier; the latter is empty where there is none."""
    if parts[0] != "data" or len(parts) not in (3, 4) or not has_events(parts[1]):
        return None
    if len(parts) == 3:
        return (parts[1], "") if is_custom(parts[1]) else None
    return parts[1], parts[2]


def _instrument(data_type: str, identifier: str) -> str:
    return _BAR_SUFFIX.sub("", identifier) if data_type == "bars" or is_custom(data_type) else identifier


def _time_ns(seconds: str, nanoseconds: str) -> int:
    moment = datetime.strptime(seconds, "%Y-%m-%dT%H-%M-%S").replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000_000 + int(nanoseconds)


def _moment(ns: int) -> datetime:
    return datetime.fromtimestamp(ns // 1_000_000_000, UTC).replace(microsecond=ns % 1_000_000_000 // 1000)
