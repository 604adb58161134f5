"""The data sets of the catalog: looked at as pictures and tables need it, and removed."""

import msgspec

from flotilla.schemas import contract
from flotilla.schemas.data import (
    Chart,
    DataGaps,
    DataRemoved,
    DataRows,
    DataToRemove,
    ReadChart,
    ReadGaps,
    ReadRows,
    RemoveData,
)
from flotilla.services.gateway.live.gateway import Gateway
from flotilla.services.gateway.web.inputs import Ask


class ChartReply(msgspec.Struct, frozen=True, kw_only=True):
    """At most as many points as were asked for."""

    success: bool = True
    chart: Chart


class GapsReply(msgspec.Struct, frozen=True, kw_only=True):
    """Where there is nothing for long."""

    success: bool = True
    gaps: DataGaps


class RowsReply(msgspec.Struct, frozen=True, kw_only=True):
    """The first events."""

    success: bool = True
    rows: DataRows


class DataRemovedReply(msgspec.Struct, frozen=True, kw_only=True):
    """The command envelope."""

    success: bool = True
    message: str
    state: str = "removed"
    data: DataRemoved


async def read_chart(gateway: Gateway, ask: Ask[ReadChart, None]) -> ChartReply:
    """Raises FaultError `not_found`, and `invalid` for a kind that has no price."""
    return ChartReply(chart=await gateway.bus.call(contract.CATALOG_CHART, ask.query))


async def read_gaps(gateway: Gateway, ask: Ask[ReadGaps, None]) -> GapsReply:
    """Raises FaultError `not_found`."""
    return GapsReply(gaps=await gateway.bus.call(contract.CATALOG_GAPS, ask.query))


async def read_rows(gateway: Gateway, ask: Ask[ReadRows, None]) -> RowsReply:
    """Raises FaultError `not_found`."""
    return RowsReply(rows=await gateway.bus.call(contract.CATALOG_ROWS, ask.query))


async def remove_data(gateway: Gateway, ask: Ask[DataToRemove, None]) -> DataRemovedReply:
    """Raises FaultError: `not_found`, `conflict` for what is attached or is being changed."""
    request = RemoveData(**msgspec.structs.asdict(ask.query), request_id=ask.request_id)
    done = await gateway.bus.call(contract.CATALOG_REMOVE, request)
    left = "nothing of it is left" if done.is_whole else "the others stay"
    message = f"{done.identifier}: {done.rows:,} {done.data_type} removed, {left}"
    return DataRemovedReply(message=message, data=done)
