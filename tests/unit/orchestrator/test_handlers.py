"""Which calls are refused while what happens cannot be kept."""

from typing import Any

import pytest

from flotilla.schemas import contract
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.services.orchestrator import handlers

ENDS = (
    contract.ENGINE_STOP,
    contract.EMERGENCY_STOP,
    contract.CONTAINER_CLEANUP,
    contract.STRATEGY_STOP,
    contract.STRATEGY_REMOVE,
    contract.BACKTEST_CANCEL,
    contract.STUDY_CANCEL,
)
BEGINS = (contract.ENGINE_START, contract.STRATEGY_START, contract.BACKTEST_RUN, contract.STUDY_RUN)


class Bus:
    def __init__(self) -> None:
        self.served: dict[contract.Call[Any, Any], Any] = {}

    async def serve(self, call: contract.Call[Any, Any], handler: Any, *, concurrency: int = 64) -> None:
        self.served[call] = handler


async def test_what_ends_something_is_tried_while_what_begins_something_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def answer(_: Any) -> str:
        return "done"

    def is_full() -> None:
        raise fault(FaultCode.UNAVAILABLE, "the disk is full")

    monkeypatch.setattr(handlers, "emergency_handlers", lambda _: {contract.EMERGENCY_STOP: answer})
    monkeypatch.setattr(handlers, "handlers", lambda _: dict.fromkeys((*ENDS, *BEGINS), answer))
    bus: Any = Bus()
    duties: Any = None
    await handlers.serve(bus, duties, lambda: True, is_full)
    for call in ENDS:
        assert await bus.served[call](None) == "done", call.subject
    for call in BEGINS:
        with pytest.raises(FaultError, match="the disk is full"):
            await bus.served[call](None)
