"""Whose credentials are over."""

import pytest

from flotilla.schemas.session import ContainerFacts, ContainerStatus, SessionUsers
from flotilla.services.supervisor.core.identity import UNSEEN_S, SessionIdentity, over

NOW = 10_000.0


def identity(session_id: str, age_s: float) -> SessionIdentity:
    users = SessionUsers(engine=f"U{session_id}{age_s}", renewal="R")
    return SessionIdentity(session_id=session_id, instance_id="e1", users=users, minted_at=round(NOW - age_s))


def container(session_id: str, status: ContainerStatus) -> ContainerFacts:
    return ContainerFacts(
        session_id=session_id,
        instance_id="e1",
        generation=1,
        host="h1",
        name=session_id,
        status=status,
        runtime="process",
    )


@pytest.mark.parametrize("status", ContainerStatus)
def test_a_session_is_over_when_nothing_of_it_stands(status: ContainerStatus) -> None:
    is_over = status in (ContainerStatus.EXITED, ContainerStatus.GONE)
    found = over([identity("s1", UNSEEN_S + 1)], [container("s1", status)], NOW)
    assert found == ({"s1"} if is_over else set())


def test_one_that_is_not_there_yet_is_given_time_since_it_was_last_asked_for() -> None:
    """A start that failed and is asked for again has credentials of both times."""
    assert over([identity("s1", UNSEEN_S - 1)], [], NOW) == set()
    assert over([identity("s1", UNSEEN_S + 60), identity("s1", 1)], [], NOW) == set()
    assert over([identity("s1", UNSEEN_S + 60), identity("s1", UNSEEN_S + 1)], [], NOW) == {"s1"}
