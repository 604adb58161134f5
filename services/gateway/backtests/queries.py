"""What may stand in the queries and bodies of calls about backtests and studies."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from flotilla.schemas.backtest import BacktestConfig, BacktestStatus, ResultPart, StudyConfig
from flotilla.schemas.ids import BacktestId, StudyId
from flotilla.services.gateway.web.queries import Limit


class BacktestListQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which backtests; `cursor` is the `next` of the page before."""

    status: BacktestStatus | None = None
    limit: Limit = 100
    cursor: Annotated[str, Meta(min_length=1, max_length=200)] | None = None


class StudyListQuery(msgspec.Struct, frozen=True, kw_only=True):
    """How many studies; `cursor` is the `next` of the page before."""

    limit: Limit = 100
    cursor: Annotated[str, Meta(min_length=1, max_length=200)] | None = None


class PageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """From which entry on, and how many at most; a page has fewer when its entries are large."""

    offset: Annotated[int, Meta(ge=0)] = 0
    limit: Annotated[int, Meta(ge=1, le=5000)] = 1000


class ReportQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Without `nautilus` it is NautilusTrader's tear sheet where one was drawn, and else ours."""

    nautilus: Annotated[bool, Meta(description="Only NautilusTrader's: 404 where none was drawn.")] = False


class ExportQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which part, and in which format; a manifest is JSON only, a report is read as it is."""

    part: Annotated[ResultPart, Meta(description="Any part but the report.")] = ResultPart.TRADES
    format: Literal["csv", "json"] = "csv"


class CompareQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Two to sixteen backtests, separated by commas."""

    ids: Annotated[tuple[BacktestId, ...], Meta(min_length=2, max_length=16)]


class CompareBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Two to sixteen completed backtests."""

    backtest_ids: Annotated[tuple[BacktestId, ...], Meta(min_length=2, max_length=16)]


type Section = Annotated[
    dict[str, Any],
    Meta(
        description="Fields of the config in a group, as some clients send them; one that the group cannot have is refused by name."
    ),
]


class AskedConfig(BacktestConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The config, and groups of its own fields. What the config says too must be the same."""

    data_configuration: Section = msgspec.field(default_factory=dict)
    execution_settings: Section = msgspec.field(default_factory=dict)
    risk_settings: Section = msgspec.field(default_factory=dict)


class BacktestBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The backtest to run. Its id must be free. Groups of settings may stand here or in the config."""

    backtest_id: BacktestId
    config: AskedConfig
    data_configuration: Section = {}
    execution_settings: Section = {}
    risk_settings: Section = {}


class VerifyBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the run again shall be called, made up when left out; with `wants_report` it draws NautilusTrader's tear sheet."""

    verify_id: BacktestId | None = None
    wants_report: bool = False


class StudyBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The study to run. Its id must be free; its backtests are called `<study_id>-0001` and so on."""

    study_id: StudyId
    config: StudyConfig
