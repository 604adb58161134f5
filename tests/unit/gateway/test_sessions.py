"""Browsers that sign in with a code: once, within a minute, and no longer than their token is good."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flotilla.bus.tokens import add_code, codes_file, read_codes
from flotilla.schemas.access import Role
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.services.gateway.web import sessions as module
from flotilla.services.gateway.web.sessions import Sessions, check_csrf
from tests.access import create_token


class Clock:
    """A time that a test sets."""

    def __init__(self) -> None:
        self.at = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    create_token(tmp_path / "t", "ann", Role.TRADER, labels={"desk": "a"})
    return tmp_path / "t"


def refused(sessions: Sessions, code: str) -> bool:
    with pytest.raises(FaultError) as caught:
        sessions.open(code)
    return caught.value.fault.code == FaultCode.UNAUTHENTICATED


def test_a_code_is_good_once_and_for_whose_token_it_is(file: Path, clock: Clock) -> None:
    sessions = Sessions(file, clock)
    code, made = add_code(file, "ann", now=clock.at)
    assert len(code) == 11
    assert code not in codes_file(file).read_text()
    assert codes_file(file).stat().st_mode & 0o777 == 0o600
    assert made.expires_at - made.created_at == timedelta(seconds=60)
    cookie, session = sessions.open(f" {code.lower()} ")
    assert (session.token.name, session.token.role, session.token.labels) == ("ann", "trader", {"desk": "a"})
    assert sessions.find(cookie) == session
    assert refused(sessions, code)
    assert sessions.find(code) is sessions.find("") is None


def test_a_code_is_good_for_a_minute(file: Path, clock: Clock) -> None:
    sessions = Sessions(file, clock)
    code, _ = add_code(file, "ann", now=clock.at)
    clock.at += timedelta(seconds=60)
    assert refused(sessions, code)


def test_a_code_from_before_the_gateway_started_may_have_been_used(file: Path, clock: Clock) -> None:
    code, _ = add_code(file, "ann", now=clock.at)
    clock.at += timedelta(seconds=1)
    assert refused(Sessions(file, clock), code)


def test_codes_are_made_for_good_tokens_only(file: Path, clock: Clock) -> None:
    create_token(file, "old", Role.VIEWER, lifetime=timedelta(seconds=1))
    later = clock.at + timedelta(minutes=1)
    for name, wanted in (("nobody", "not_found"), ("../x", "invalid"), ("old", "conflict")):
        with pytest.raises(FaultError) as caught:
            add_code(file, name, now=later)
        assert caught.value.fault.code == wanted
    assert not codes_file(file).exists()


def test_a_code_of_a_token_that_is_gone_or_expired_opens_nothing(file: Path, clock: Clock) -> None:
    create_token(file, "short", Role.VIEWER, lifetime=timedelta(seconds=30))
    sessions = Sessions(file, clock)
    gone, _ = add_code(file, "ann", now=clock.at)
    short, _ = add_code(file, "short", now=clock.at)
    file.write_text("".join(line for line in file.read_text().splitlines(keepends=True) if "ann" not in line))
    assert refused(sessions, gone)
    clock.at += timedelta(seconds=40)
    assert refused(sessions, short)


def test_old_codes_do_not_pile_up(file: Path, clock: Clock) -> None:
    for _ in range(3):
        add_code(file, "ann", now=clock.at)
        clock.at += timedelta(minutes=2)
    assert len(read_codes(codes_file(file))) == 1


def test_a_session_ends_by_itself_and_when_its_browser_signs_out(file: Path, clock: Clock) -> None:
    create_token(file, "short", Role.VIEWER, lifetime=timedelta(hours=1))
    sessions = Sessions(file, clock)
    ann, short, out = (
        sessions.open(add_code(file, name, now=clock.at)[0])[0] for name in ("ann", "short", "ann")
    )
    sessions.close(out)
    sessions.close(out)
    assert [sessions.find(cookie) is not None for cookie in (ann, short, out)] == [True, True, False]
    clock.at += timedelta(hours=2)
    assert [sessions.find(cookie) is not None for cookie in (ann, short)] == [True, False]
    clock.at += timedelta(hours=10)
    assert sessions.find(ann) is None


def test_so_many_browsers_may_be_signed_in(file: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    sessions = Sessions(file, clock)
    cookies = [sessions.open(add_code(file, "ann", now=clock.at)[0])[0] for _ in range(3)]
    assert [sessions.find(cookie) is not None for cookie in cookies] == [False, True, True]


@pytest.mark.parametrize("given", [[], [""], ["x"], ["é"], ["\udcff"]])
def test_a_change_needs_what_only_a_page_of_ours_can_know(file: Path, clock: Clock, given: list[str]) -> None:
    sessions = Sessions(file, clock)
    _, session = sessions.open(add_code(file, "ann", now=clock.at)[0])
    check_csrf(session, [session.csrf])
    for headers in (given, [session.csrf, session.csrf], [session.csrf + "x"]):
        with pytest.raises(FaultError) as caught:
            check_csrf(session, headers)
        assert caught.value.fault.code == FaultCode.FORBIDDEN
