"""Reads the result of a backtest from the record, page by page."""

from collections.abc import AsyncIterator
from typing import Any, Final

from flotilla.schemas import contract
from flotilla.schemas.backtest import ReadResult, ResultPage, ResultPart
from flotilla.schemas.fault import FaultCode, fault
from flotilla.services.gateway.backtests.views import shown
from flotilla.services.gateway.live.gateway import Gateway

MAX_ENTRIES: Final = 10_000
"""How many entries of a list an answer about a backtest has; the rest is read in pages."""
_PAGE: Final = 5_000


async def pages(gateway: Gateway, backtest_id: str, part: ResultPart) -> AsyncIterator[ResultPage]:
    """Every page of a part. Raises FaultError `not_found`, or `conflict` when it is not completed."""
    offset: int | None = 0
    while offset is not None:
        request = ReadResult(backtest_id=backtest_id, part=part, offset=offset, limit=_PAGE)
        page = await gateway.bus.call(contract.BACKTEST_RESULT, request)
        yield page
        if page.next is not None and page.next <= offset:
            raise fault(FaultCode.INTERNAL, f"the pages of {part} do not go on after {offset}")
        offset = page.next


async def first_entries(
    gateway: Gateway, backtest_id: str, part: ResultPart, most: int = MAX_ENTRIES
) -> tuple[list[Any], int | None]:
    """The first `most` entries as the contract shows them, and the offset of the next one; None when there is none."""
    found: list[Any] = []
    async for page in pages(gateway, backtest_id, part):
        found += [shown(part, entry) for entry in page.entries[: most - len(found)]]
        if len(found) == most and page.total > most:
            return found, most
    return found, None
