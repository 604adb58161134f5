"""Has done what people ask of an engine that runs, and answers it, whatever comes of it."""

import asyncio
from collections.abc import Callable
from typing import Any

from flotilla.engine_sidecar.engine.exit.intervening import Intervening
from flotilla.engine_sidecar.engine.running_strategies import RunningStrategies
from flotilla.engine_sidecar.engine.venues.comparison import in_words
from flotilla.engine_sidecar.engine.venues.gate import VenueGate
from flotilla.engine_sidecar.link.asking import AcceptDifference, Answer, Ask, Intervene
from flotilla.engine_sidecar.strategies.guard import fault_text
from flotilla.schemas.fault import Fault, FaultCode, FaultError, fault


async def answer(
    asked: Ask,
    strategies: RunningStrategies,
    intervening: Intervening,
    venues: VenueGate,
    *,
    kernel: Any,
    send: Callable[[object], None],
) -> None:
    """Has done what is asked, and sends the answer; a stop of the engine breaks it off and is answered too."""
    try:
        done = await _done(asked, strategies, intervening, venues)
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
        send(done)


async def _done(
    asked: Ask, strategies: RunningStrategies, intervening: Intervening, venues: VenueGate
) -> Answer:
    if isinstance(asked.question, AcceptDifference):
        return Answer(asked.number, message=_accepted(venues, asked.question.shown))
    if isinstance(asked.question, Intervene):
        came_of_it = await intervening.intervene(asked.question)
        return Answer(
            asked.number,
            not_confirmed=came_of_it.not_confirmed,
            orders_cancelled=came_of_it.orders_cancelled,
            positions_closed=came_of_it.positions_closed,
        )
    message, strategy_id, not_confirmed = await strategies.carry_out(asked.question)
    return Answer(asked.number, strategies.views(), message, strategy_id, not_confirmed)


def _accepted(venues: VenueGate, shown: str | None) -> str:
    """What is taken as it is. Raises FaultError `conflict` where that is nothing, or not what was shown."""
    if not venues.told:
        raise fault(FaultCode.CONFLICT, "engine and venue agree: there is nothing to accept")
    differs = in_words(venues.told)
    if shown is not None and shown != differs:
        raise fault(FaultCode.CONFLICT, f"something else differs by now: {differs}")
    venues.accept()
    return differs
