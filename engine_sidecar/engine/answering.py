"""Answers what the sidecar asks: whatever becomes of a question, its number gets one answer."""

import asyncio
from collections.abc import Callable
from typing import Any

from flotilla.engine_sidecar.engine.running_strategies import RunningStrategies
from flotilla.engine_sidecar.link.asking import Answer, Ask
from flotilla.engine_sidecar.strategies.guard import fault_text
from flotilla.schemas.fault import Fault, FaultCode, FaultError


async def answer(
    asked: Ask, strategies: RunningStrategies, kernel: Any, send: Callable[[object], None]
) -> None:
    """Has the roster do what is asked, and sends the answer; a stop of the engine breaks it off and is answered too."""
    try:
        message, strategy_id, not_confirmed = await strategies.carry_out(asked.question)
    except FaultError as error:
        send(Answer(asked.number, fault=error.fault))
    except asyncio.CancelledError:
        text = "the engine stops; what was asked may be half done"
        send(Answer(asked.number, fault=Fault(code=FaultCode.CONFLICT, message=text)))
        raise
    except Exception as error:
        kernel.logger.exception("a question could not be answered", error)  # noqa: TRY401, PLE1205 - it is NautilusTrader's
        send(Answer(asked.number, fault=Fault(code=FaultCode.INTERNAL, message=fault_text(error))))
    else:
        send(Answer(asked.number, strategies.views(), message, strategy_id, not_confirmed))
