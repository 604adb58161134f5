"""Which accounts of observers the server is told of, and which are closed."""

from datetime import UTC, datetime, timedelta

import pytest

from flotilla.bus.observers import CLOSED, AccountClaims, accounts_of, new_observer, to_tell
from flotilla.schemas.access import BusKeys, Role, TokenRecord

NOW = datetime(2026, 1, 31, tzinfo=UTC)
KEYS = new_observer("feed", NOW, None).keys
OTHER = new_observer("other", NOW, None).keys


def record(name: str, bus: BusKeys | None, ends_at: datetime | None = None) -> TokenRecord:
    return TokenRecord(name=name, role=Role.OBSERVER, sha256="0" * 64, expires_at=ends_at, bus=bus)


def accounts(*records: TokenRecord) -> dict[str, AccountClaims]:
    return dict(accounts_of(records, NOW, fleet="F", engines="E"))


FEED, BOTH = accounts(record("feed", KEYS)), accounts(record("feed", KEYS), record("other", OTHER))
GONE = AccountClaims(KEYS.account, "observer feed", CLOSED)
OLDER = AccountClaims(KEYS.account, "observer feed", {**FEED[KEYS.account].claims, "imports": []})


@pytest.mark.parametrize(
    ("wanted", "known", "told"),
    [
        ({}, (), ()),
        (FEED, (), (FEED[KEYS.account],)),
        (FEED, (FEED[KEYS.account],), ()),
        (FEED, (OLDER,), (FEED[KEYS.account],)),
        (FEED, (GONE,), (FEED[KEYS.account],)),
        ({}, (FEED[KEYS.account],), (GONE,)),
        ({}, (GONE,), ()),
        (
            accounts(record("other", OTHER)),
            (FEED[KEYS.account],),
            (GONE, BOTH[OTHER.account]),
        ),
    ],
    ids=[
        "none",
        "new",
        "known",
        "of an older release",
        "back",
        "taken away",
        "closed already",
        "closed first",
    ],
)
def test_the_server_is_told_what_it_does_not_know_yet(
    wanted: dict[str, AccountClaims], known: tuple[AccountClaims, ...], told: tuple[AccountClaims, ...]
) -> None:
    assert tuple(to_tell(wanted, known)) == told


def test_only_tokens_with_bus_credentials_that_are_good_now_have_an_account() -> None:
    ended, lasting = record("a", KEYS, NOW), record("b", OTHER, NOW + timedelta(seconds=1))
    assert accounts(ended, lasting, record("c", None)).keys() == {OTHER.account}


def test_every_credential_is_of_an_account_of_its_own_and_no_secret_of_it_is_kept() -> None:
    one, two = new_observer("feed", NOW, None), new_observer("feed", NOW, None)
    assert len({one.keys.account, one.keys.signing_key, two.keys.account, two.keys.signing_key}) == 4
    assert one.creds.count("SEED") == 2, "that of the user"
