import pytest

from flotilla.schemas.session import ContainerFacts, ContainerStatus
from flotilla.schemas.states import RunState, TradingMode
from flotilla.services.orchestrator.engines.core.cleanup import Verb, judge
from flotilla.services.orchestrator.engines.core.model import Session
from tests.unit.orchestrator.makers import facts, session

ACTIVE, ENDED, UNKNOWN = session(), session(RunState.STOPPED), None
EXITED = facts(ContainerStatus.EXITED)
CREATED = facts(ContainerStatus.CREATED)
LIVE = facts(trading_mode=TradingMode.LIVE)
UNLABELLED = facts(trading_mode=None)


@pytest.mark.parametrize(
    ("container", "on_record", "plain", "forced"),
    [
        (EXITED, ENDED, Verb.REMOVE, Verb.REMOVE),
        (CREATED, ENDED, Verb.REMOVE, Verb.REMOVE),
        (EXITED, UNKNOWN, Verb.REMOVE, Verb.REMOVE),
        (facts(ContainerStatus.EXITED, trading_mode=TradingMode.LIVE), ENDED, Verb.REMOVE, Verb.REMOVE),
        (facts(), ACTIVE, Verb.LEAVE, Verb.STOP_ENGINE),
        (CREATED, ACTIVE, Verb.LEAVE, Verb.STOP_ENGINE),
        (facts(), ENDED, Verb.LEAVE, Verb.STOP_CONTAINER),
        (facts(), UNKNOWN, Verb.LEAVE, Verb.STOP_CONTAINER),
        (LIVE, ACTIVE, Verb.LEAVE, Verb.REFUSE),
        (LIVE, UNKNOWN, Verb.LEAVE, Verb.REFUSE),
        (UNLABELLED, UNKNOWN, Verb.LEAVE, Verb.REFUSE),
    ],
)
def test_what_a_cleanup_does(
    container: ContainerFacts, on_record: Session | None, plain: Verb, forced: Verb
) -> None:
    known = {"s1": on_record} if on_record else {}
    assert judge(container, known, force=False).verb == plain
    assert judge(container, known, force=True).verb == forced
