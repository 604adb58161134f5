"""The data sets of a catalog, as people look at them and change them over bus and REST; and what the program that does it is asked."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, TypeAlias, get_args

import msgspec
from msgspec import Meta

from flotilla.schemas.fault import FaultCode
from flotilla.schemas.ids import HostId, InstrumentId, RequestId
from flotilla.schemas.instrument import InstrumentChange, RemoveInstrument
from flotilla.schemas.instrument_classes import InstrumentClass

MOST_POINTS: Final = 2_000
MOST_GAPS: Final = 1_000
MOST_ROWS: Final = 100
PIECE_BYTES: Final = 128 << 10
"""Of an upload in one message; JSON makes a third more of it, and a request has 256 KiB at most."""
MOST_UPLOADED_BYTES: Final = 4 << 30
"""Of all files together that wait on a host for their import."""
IMPORTS_FOLDER: Final = ".imports"
"""Beside `data/` in a catalog: a folder for each import that was asked for over the bus."""
DATA_FOLDER: Final = "data"
"""In it: the uploaded file."""
LOCK_FILE: Final = "lock"
"""In it: whoever is at the import holds a lock on this."""
PROGRESS_FILE: Final = "progress.json"
END_FILE: Final = "end.json"

DataId: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"\A(?!.*\.\.)[A-Za-z0-9^=](?:[A-Za-z0-9^=/_:@+ -]{0,61}[A-Za-z0-9^=/_:@+-])?\.[A-Za-z0-9^=/_:@.+-]{1,160}\Z",
        description="A data set, as the catalog lists it: an instrument such as EUR/USD.SIM, or a bar type such as "
        "SPX.SIM-1-DAY-LAST-EXTERNAL.",
    ),
]
DataTypeName: TypeAlias = Annotated[
    str,
    Meta(pattern=r"\A[a-z][a-z0-9_]{0,40}\Z", description="bars, quotes, trades: as the catalog lists it."),
]
Moment: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"\A\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|UTC|[+-]\d\d:?\d\d)?)?\Z",
        description="A date, or a moment, in UTC unless it names another offset.",
    ),
]


class WhichData(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names a data set; its type may be left out where the identifier has one only."""

    identifier: DataId
    type: DataTypeName | None = None


class ReadChart(WhichData, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for open, high, low and close of a time, at most `points` of them. Both ends are included; a date is the whole day."""

    first: Moment | None = msgspec.field(default=None, name="from")
    last: Moment | None = msgspec.field(default=None, name="to")
    points: Annotated[int, Meta(ge=1, le=MOST_POINTS)] = 500


class ReadGaps(WhichData, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks where there are no events for long; at most `limit` gaps are named, the first ones."""

    limit: Annotated[int, Meta(ge=1, le=MOST_GAPS)] = 100


class ReadRows(WhichData, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for the first `limit` events, from a moment on."""

    first: Moment | None = msgspec.field(default=None, name="from")
    limit: Annotated[int, Meta(ge=1, le=MOST_ROWS)] = 10


class ChartPoint(msgspec.Struct, frozen=True, kw_only=True):
    """What became known from `first` to `last`. `volume` is null of data that have none; `events` is how many it is made of."""

    first: datetime
    last: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float | None
    events: int


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """Points in time order, of `events` events.

    `is_down_sampled`: points are of `bucket_s` seconds each, those with no event left out; otherwise every bar is one. `bucket_s` is null
    then, and of a time before or after all data.
    `made_of` says what: the bars themselves, `price` of trades, the middle of `bid_price` and `ask_price` of quotes, `value`.
    """

    identifier: str
    data_type: str
    made_of: str
    events: int
    is_down_sampled: bool
    bucket_s: float | None
    points: tuple[ChartPoint, ...]


class DataGap(msgspec.Struct, frozen=True, kw_only=True):
    """No event between two."""

    first: datetime
    last: datetime


class DataGaps(msgspec.Struct, frozen=True, kw_only=True):
    """The gaps of a data set: pauses more than `factor` times as long as `usual_s`, the length of a bar, for other data the median
    pause, of a sample where there is much, and at least a second. `usual_s` is null where nothing is usual: bars that are not of
    time have no gaps. All are counted, the first are named.
    """

    identifier: str
    data_type: str
    events: int
    usual_s: float | None
    factor: float
    gap_count: int
    gaps: tuple[DataGap, ...]


class DataRows(msgspec.Struct, frozen=True, kw_only=True):
    """Events as they are stored, by field; numbers with the decimals of their instrument, moments to the nanosecond."""

    identifier: str
    data_type: str
    rows: tuple[dict[str, str], ...]


class DataToRemove(WhichData, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A data set, or a time of it: both ends are included, a date is the whole day. `host` says whose, where several are in sight."""

    first: Moment | None = msgspec.field(default=None, name="from")
    last: Moment | None = msgspec.field(default=None, name="to")
    host: HostId | None = None


class RemoveData(DataToRemove, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for it to be taken out of the catalog."""

    request_id: RequestId | None = None


class DataRemoved(msgspec.Struct, frozen=True, kw_only=True):
    """What was taken out; `is_whole` when nothing of the data set is left. The definition of its instrument stays."""

    identifier: str
    data_type: str
    rows: int
    is_whole: bool


FileName: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z",
        description="The file's name without a folder; its end says what it is: .csv, .csv.gz, .zip, .parquet …",
    ),
]
ImportId: TypeAlias = Annotated[
    RequestId, Meta(description="An import: letters, digits, '_' and '-', 1 to 100.")
]
_Text: TypeAlias = Annotated[str, Meta(min_length=1, max_length=100)]
_Columns: TypeAlias = Annotated[str, Meta(min_length=1, max_length=4_000)]
_Delimiter: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"\A(?:tab|\\t|[\x01-\x09\x0b\x0c\x0e-\x21\x23-\x7f])\Z",
        description="Between columns: one ASCII character that is no quote and no end of line, or `tab`.",
    ),
]
_Size: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"\A(?:\d{1,18}(?:\.\d{0,18})?|\.\d{1,18})(?:[eE][+-]?\d{1,2})?\Z",
        description="A decimal number that is not negative.",
    ),
]
_Places: TypeAlias = Annotated[int, Meta(ge=0, le=16)]


ImportedType: TypeAlias = Literal[
    "bars",
    "quotes",
    "trades",
    "mark_prices",
    "index_prices",
    "funding_rates",
    "order_book_deltas",
    "order_book_depths",
]
IMPORTED_TYPES: Final[tuple[str, ...]] = get_args(ImportedType)
"""What can be imported; the other kinds of data come in attached catalogs."""


class ImportOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a file is to be read: the options of `flotilla data import`, under their names there."""

    type: ImportedType
    instrument: InstrumentId
    bar_type: DataId | None = None
    symbol: _Text | None = None
    stamp: Literal["open", "close"] | None = None
    timezone: _Text | None = None
    time_format: _Text | None = None
    columns: _Columns | None = None
    no_header: bool = False
    delimiter: _Delimiter | None = None
    skip: Annotated[int, Meta(ge=0, le=10_000)] = 0
    decimal: Literal[".", ","] = "."
    thousands: Annotated[str, Meta(pattern=r"\A[.,' _]\Z")] | None = None
    fixed_decimals: _Places | None = None
    prices: Literal["raw", "adjusted"] | None = None
    default_size: _Size | None = None
    sort: bool = False
    dedupe: bool = False
    replace: bool = False
    dry_run: bool = False
    price_precision: _Places | None = None
    size_precision: _Places | None = None
    instrument_class: InstrumentClass | None = msgspec.field(default=None, name="class")
    currency: _Text = "USD"


class UploadData(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Hands over a piece of the file of an import, one after the other. The same piece again changes nothing."""

    import_id: ImportId
    file: FileName
    offset: Annotated[int, Meta(ge=0, lt=MOST_UPLOADED_BYTES)]
    data: Annotated[bytes, Meta(min_length=1, max_length=PIECE_BYTES)]
    host: HostId | None = None
    request_id: RequestId | None = None


class DataUploaded(msgspec.Struct, frozen=True, kw_only=True):
    """How many bytes of the file are there. `is_asked`: the import was asked for already, and takes no more."""

    import_id: str
    size_bytes: int
    is_asked: bool = False


class ImportData(ImportOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for an uploaded file to be imported. With `dry_run` it is only said how its first rows are understood.

    `digest` is part of what makes two requests the same.
    """

    import_id: ImportId
    file: FileName
    digest: Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z", description="The file's SHA-256.")] | None = None
    host: HostId | None = None
    request_id: RequestId | None = None


class ImportState(StrEnum):
    """Where an import is. Of one that was interrupted the catalog has all or nothing."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETED = "completed"
    REFUSED = "refused"
    INTERRUPTED = "interrupted"


class ImportProgress(msgspec.Struct, frozen=True, kw_only=True):
    """So many rows of the file were checked, or written: `step`."""

    step: str
    rows: int


class ImportEnd(msgspec.Struct, frozen=True, kw_only=True):
    """How an import ended. `reports` are what `flotilla data import --json` says; `error` names file, line and column at fault."""

    state: ImportState
    at: datetime
    reports: tuple[dict[str, Any], ...] = ()
    error: str = ""


class ImportView(msgspec.Struct, frozen=True, kw_only=True):
    """An import as its host has it on record. `progress` is null before it began and once it has ended."""

    import_id: str
    host: str
    file: str
    state: ImportState
    asked_at: datetime
    options: ImportOptions
    progress: ImportProgress | None = None
    ended_at: datetime | None = None
    reports: tuple[dict[str, Any], ...] = ()
    error: str = ""


class ListImports(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for the imports on record, newest first, or for one; of all hosts in sight, or of `host`."""

    import_id: ImportId | None = None
    host: HostId | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 20


class ImportList(msgspec.Struct, frozen=True, kw_only=True):
    """Imports, newest first."""

    imports: tuple[ImportView, ...]


class CatalogQuestion(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """One thing to be read of a host's catalog."""

    chart: ReadChart | None = None
    gaps: ReadGaps | None = None
    rows: ReadRows | None = None


class CatalogAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was asked for, or why it cannot be done: `refusal`, and what kind of fault that is."""

    refusal: str = ""
    code: FaultCode = FaultCode.INVALID
    chart: Chart | None = None
    gaps: DataGaps | None = None
    rows: DataRows | None = None
    removed: DataRemoved | None = None
    instrument: InstrumentChange | None = None


class CatalogLine(CatalogQuestion, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the catalog's program reads on stdin: where the catalog is as it sees it, and what is to be done."""

    path: str
    remove: RemoveData | None = None
    remove_instrument: RemoveInstrument | None = None
    load: ImportData | None = None
