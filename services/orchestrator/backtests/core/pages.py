"""Parts of a result in pages that fit into one message of the bus."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from flotilla.schemas.backtest import Outcome, ReadResult, ResultPage, ResultPart
from flotilla.schemas.fault import FaultCode, fault
from flotilla.services.orchestrator.core.replies import fitting

REPORT_CHARACTERS: Final = 96 * 1024
"""Of a report in one page: JSON may make six bytes of a character."""
_LISTS: Final = (
    *(ResultPart.TRADES, ResultPart.ORDERS, ResultPart.FILLS),
    *(ResultPart.EQUITY_CURVE, ResultPart.OPEN_POSITIONS, ResultPart.PRICES),
    ResultPart.EXPOSURE,
)


def page(outcome: Outcome, request: ReadResult) -> ResultPage:
    """The entries from `offset` on. A list's `total` counts entries, the report's characters; a document is one entry.

    Raises FaultError `not_found` for what the result does not have: a report that was not made, what was open in a run of before that was kept.
    """
    if request.part is ResultPart.OPEN_POSITIONS and outcome.result.summary is None:
        text = f"backtest {request.backtest_id} does not tell what it left open: it ran before that was kept"
        raise fault(FaultCode.NOT_FOUND, text)
    if request.part in _LISTS:
        return _entries(getattr(outcome.result, request.part), request)
    if request.part is ResultPart.REPORT:
        if outcome.report is None:
            text = (
                f"backtest {request.backtest_id} has no tear sheet of NautilusTrader's: a run again draws it, by POST "
                f'backtests/{request.backtest_id}/verify with {{"wants_report": true}}, or flotilla backtest report --nautilus'
            )
            raise fault(FaultCode.NOT_FOUND, text)
        return _piece(outcome.report, request)
    document = (
        outcome.manifest if request.part is ResultPart.MANIFEST else getattr(outcome.result, request.part)
    )
    return _page(request, [document][request.offset :], total=1, read=1)


def _entries(entries: Sequence[Any], request: ReadResult) -> ResultPage:
    chosen = fitting(entries[request.offset : request.offset + request.limit])
    return _page(request, chosen, total=len(entries), read=len(chosen))


def _piece(report: str, request: ReadResult) -> ResultPage:
    text = report[request.offset : request.offset + REPORT_CHARACTERS]
    return _page(request, [text] if text else [], total=len(report), read=len(text))


def _page(request: ReadResult, entries: Sequence[Any], *, total: int, read: int) -> ResultPage:
    after = request.offset + read
    return ResultPage(
        backtest_id=request.backtest_id,
        part=request.part,
        entries=tuple(msgspec.Raw(msgspec.json.encode(each)) for each in entries),
        total=total,
        next=after if read and after < total else None,
    )
