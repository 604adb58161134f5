"""Plans of strategies that misbehave, and ways to wait for what their engines say."""

from typing import Any

from flotilla.engine_sidecar.link.asking import Answer, Ask, Intervene
from flotilla.engine_sidecar.link.frames import Happened
from flotilla.schemas.states import StopPolicy
from flotilla.schemas.telemetry import EventKind
from tests.engine_processes import EngineProcess

BAR_TYPE = "SPX.SIM-1-DAY-LAST-EXTERNAL"
ONE_BAR_A_SECOND = 86_400
SLOWLY = {"speed": ONE_BAR_A_SECOND * 20, "start": "2010-01-01"}


def strategy(name: str, **config: Any) -> dict[str, Any]:
    """A strategy of tests/strategies_for_tests.py."""
    return {
        "strategy_path": f"tests.strategies_for_tests:{name}",
        "config_path": "tests.strategies_for_tests:BarsConfig",
        "config": {"bar_type": BAR_TYPE} | config,
    }


def until_event(engine: EngineProcess, kind: EventKind, name: str) -> None:
    """Waits for an event of that name, or an alert of that code."""
    key = b'"code":"%s"' if kind is EventKind.ALERT else b'"event":"%s"'
    engine.until(
        lambda message: (
            isinstance(message, Happened) and message.kind is kind and key % name.encode() in message.data
        )
    )


def intervened(engine: EngineProcess, policy: StopPolicy, timeout_s: float = 10.0) -> Answer:
    """Has the engine cancel or flatten while it trades; its answer."""
    engine.send(Ask(7, Intervene(policy, timeout_s)))
    return engine.until(lambda message: message if isinstance(message, Answer) else None)


def names(engine: EngineProcess, kind: EventKind) -> list[str]:
    """The names of the events of one kind that were heard so far."""
    return [event["event"] for event in engine.events(kind)]
