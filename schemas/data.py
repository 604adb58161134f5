"""The data sets of a catalog, as people look at them and change them over bus and REST; and what the program that does it is asked."""

from datetime import datetime
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

from flotilla.schemas.fault import FaultCode
from flotilla.schemas.ids import HostId, RequestId

MOST_POINTS: Final = 2_000
MOST_GAPS: Final = 1_000
MOST_ROWS: Final = 100

DataId: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"\A(?!.*\.\.)[A-Za-z0-9^=][A-Za-z0-9^=/_:@+-]{0,62}\.[A-Za-z0-9^=/_:@.+-]{1,160}\Z",
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

    `is_down_sampled`: points are of `bucket_s` seconds each, those with no event left out; otherwise every bar is one.
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


class CatalogLine(CatalogQuestion, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the catalog's program reads on stdin: where the catalog is as it sees it, and what is to be done."""

    path: str
    remove: RemoveData | None = None
