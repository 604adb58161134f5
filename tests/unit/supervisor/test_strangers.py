"""Who is a stranger on the bus, from what the server tells of its connections."""

from datetime import UTC, datetime, timedelta
from itertools import count

from flotilla.schemas.session import SessionUsers
from flotilla.services.supervisor.core.identity import SessionIdentity
from flotilla.services.supervisor.core.strangers import MOST_TOLD, Connection, Strangers

START = datetime(2026, 1, 31, tzinfo=UTC)
_NUMBERS = count()


def identity(session_id: str = "s1", user: str = "U1") -> SessionIdentity:
    users = SessionUsers(engine=user, renewal=f"{user}-renewal")
    return SessionIdentity(session_id=session_id, instance_id="e1", users=users, minted_at=0)


def connection(mark: str, user: str = "U1", *session_ids: str, after_s: int = 0) -> Connection:
    since = START + timedelta(seconds=after_s)
    return Connection(
        cid=next(_NUMBERS),
        session_ids=session_ids or ("s1",),
        user=user,
        mark=mark,
        address="10.0.0.1:1",
        since=since,
    )


def found(strangers: Strangers, connections: list[Connection], *sessions: SessionIdentity) -> list[str]:
    return [each.mark for _, each in strangers.among(connections, sessions or (identity(),))]


def test_the_first_mark_of_both_users_is_the_sidecars_in_whatever_order_they_are_listed() -> None:
    strangers = Strangers()
    listed = [
        connection("other", after_s=9),
        connection("own"),
        connection("own", "U1-renewal"),
        connection("own", after_s=5),
    ]
    assert found(strangers, listed) == ["other"]
    assert found(strangers, [*listed, connection("other", after_s=20)]) == []
    assert found(strangers, [connection("third", "U1-renewal", after_s=30)]) == ["third"]


def test_who_was_first_is_remembered_when_he_is_away() -> None:
    strangers = Strangers()
    assert found(strangers, [connection("own")]) == []
    assert found(strangers, [connection("other", after_s=9)]) == ["other"]
    assert found(strangers, [connection("own", after_s=12)]) == []


def test_a_user_of_another_session_or_of_none_is_a_stranger_whatever_he_is_called() -> None:
    known = (identity(), identity("s2", "U2"))
    listed = [
        connection("own"),
        connection("two", "U2", "s2"),
        connection("own", "U2", after_s=1),
        connection("two", "UX", "ghost", "s2", after_s=1),
    ]
    assert found(Strangers(), listed, *known) == ["own", "two"]


def test_the_sidecar_of_an_earlier_start_that_nobody_remembers_is_none() -> None:
    """A start is asked for once more, a credential made for it, and the session found that runs already, or has ended."""
    strangers = Strangers()
    assert found(strangers, [connection("first", "U0")]) == []
    assert found(strangers, [connection("first", "U0"), connection("second", after_s=2)]) == []
    assert found(strangers, [connection("forged", "U9", after_s=3)]) == ["forged"]


def test_each_start_of_a_session_has_a_user_of_its_own() -> None:
    listed = [connection("first"), connection("second", "U9")]
    assert found(Strangers(), listed, identity(), identity(user="U9")) == []


def test_sessions_that_are_not_ours_are_left_alone() -> None:
    assert found(Strangers(), [connection("a", "U1", "s9"), connection("b", "U1", "s9")]) == []


def test_marks_without_end_are_told_a_few_times_and_forgotten_with_their_session() -> None:
    strangers = Strangers()
    flood = [connection("own"), *(connection(f"n{number}", after_s=number + 1) for number in range(100))]
    assert len(found(strangers, flood)) == MOST_TOLD
    assert found(strangers, flood) == []
    assert found(strangers, [], identity("s2", "U2")) == []
    assert strangers._told == strangers._own == {}
