"""What an operator can ask of the fleet's catalog: pictures, gaps and rows of a data set; and its removal."""

from datetime import date, datetime
from typing import TypeAlias

from flotilla.bus.bus import Bus
from flotilla.schemas import contract
from flotilla.schemas.data import (
    Chart,
    DataGaps,
    DataRemoved,
    DataRows,
    ReadChart,
    ReadGaps,
    ReadRows,
    RemoveData,
)
from flotilla.schemas.decoding import convert

Time: TypeAlias = date | datetime | str | None
"""A day, or a moment, in UTC unless it has another offset."""


class DataCalls:
    """The data sets of the catalog, by identifier. Every call raises FaultError when it is refused: `not_found` for what there is not."""

    bus: Bus

    async def chart(
        self,
        identifier: str,
        *,
        data_type: str | None = None,
        first: Time = None,
        last: Time = None,
        points: int = 500,
    ) -> Chart:
        """Open, high, low and close of a time, both ends included, at most `points` of them, which the host makes."""
        asked = {
            "identifier": identifier,
            "type": data_type,
            "from": _text(first),
            "to": _text(last),
            "points": points,
        }
        return await self.bus.call(contract.CATALOG_CHART, convert(asked, ReadChart))

    async def gaps(self, identifier: str, *, data_type: str | None = None, limit: int = 100) -> DataGaps:
        """Where there are no events for long; the first `limit` are named."""
        asked = {"identifier": identifier, "type": data_type, "limit": limit}
        return await self.bus.call(contract.CATALOG_GAPS, convert(asked, ReadGaps))

    async def rows(
        self, identifier: str, *, data_type: str | None = None, first: Time = None, limit: int = 10
    ) -> DataRows:
        """The first events from a moment on, as they are stored."""
        asked = {"identifier": identifier, "type": data_type, "from": _text(first), "limit": limit}
        return await self.bus.call(contract.CATALOG_ROWS, convert(asked, ReadRows))

    async def remove_data(
        self,
        identifier: str,
        *,
        data_type: str | None = None,
        first: Time = None,
        last: Time = None,
        host: str | None = None,
        request_id: str | None = None,
    ) -> DataRemoved:
        """Takes a data set, or a time of it, out of the catalog of the fleet's host; `host` says which, where several are in sight."""
        asked = {
            "identifier": identifier,
            "type": data_type,
            "from": _text(first),
            "to": _text(last),
            "host": host,
            "request_id": request_id,
        }
        return await self.bus.call(contract.CATALOG_REMOVE, convert(asked, RemoveData))


def _text(moment: Time) -> str | None:
    return moment.isoformat() if isinstance(moment, date) else moment
