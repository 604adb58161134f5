"""Ids, names and subjects from outside."""

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flotilla.schemas import contract
from flotilla.schemas.ids import BarType, InstanceId, InstrumentId, Name, RequestId, is_id, new_session_id
from flotilla.schemas.subjects import parse, subject, wildcard

TRICKS = ["", "a.b", "a*", ">", "a b", "a\n", "\na", "A", "-a", "a/b", "../a", "a" * 64, "é", "a\x00", "a_b"]


@pytest.mark.parametrize("value", TRICKS)
def test_tricks_are_no_ids(value: str) -> None:
    assert not is_id(value)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(value, InstanceId)
    with pytest.raises(ValueError, match="is no id"):
        subject("engine.<instance_id>.fill", instance_id=value)


@pytest.mark.parametrize("value", ["a", "0", "trading-001", "a" * 63])
def test_plain_ids_are_accepted(value: str) -> None:
    assert msgspec.convert(value, InstanceId) == value
    assert subject("engine.<instance_id>.fill", instance_id=value) == f"engine.{value}.fill"


@pytest.mark.parametrize("value", ["../x", "X", "1a", "a-b", "a.b", "", "a\n", "a" * 64])
def test_tricks_are_no_names(value: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(value, Name)


@pytest.mark.parametrize("value", ["a b", "a.b", "", "a" * 101, "a\n", "a/b"])
def test_tricks_are_no_request_ids(value: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(value, RequestId)


@pytest.mark.parametrize(
    "value",
    [
        "SPX.SIM",
        "EUR/USD.SIM",
        "BTCUSDT-PERP.BINANCE",
        "^GSPC.SIM",
        "ESZ5.CME",
        "ESM4 C4250.GLBX",
        "SPY   240119P00340000.OPRA",
        "X.SIM",
    ],
)
def test_instruments_and_their_bars_are_accepted(value: str) -> None:
    assert msgspec.convert(value, InstrumentId) == value
    bars = f"{value}-1-DAY-LAST-EXTERNAL"
    assert msgspec.convert(bars, BarType) == bars


@pytest.mark.parametrize(
    "value",
    [
        "SPX",
        "SPX.",
        ".SIM",
        " SPX.SIM",
        "SPX .SIM",
        "SPX. SIM",
        "SPX.SI M",
        "SP\tX.SIM",
        "SP\u00a0X.SIM",
        "SPX.SIM\n",
        "*.SIM",
        "SPX.>",
        "../SPX.SIM",
    ],
)
def test_tricks_are_no_instruments(value: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(value, InstrumentId)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(f"{value}-1-DAY-LAST-EXTERNAL", BarType)


def test_session_ids_are_ids_and_sort_by_time() -> None:
    earlier = new_session_id(datetime(2026, 1, 31, 14, 25, 1, tzinfo=UTC))
    later = new_session_id(datetime(2026, 1, 31, 14, 25, 2, tzinfo=UTC))
    assert is_id(earlier)
    assert earlier < later
    assert new_session_id(datetime(2026, 1, 31, tzinfo=UTC)) != new_session_id(
        datetime(2026, 1, 31, tzinfo=UTC)
    )


@given(st.from_regex(r"\A[a-z0-9][a-z0-9-]{0,62}\Z"))
def test_every_subject_gives_back_the_id_it_was_made_with(instance_id: str) -> None:
    for feed in contract.ENGINE_EVENT_FEEDS:
        assert parse(feed.subject, subject(feed.subject, instance_id=instance_id)) == {
            "instance_id": instance_id
        }


def test_a_subject_of_another_shape_does_not_parse() -> None:
    assert parse("engine.<instance_id>.fill", "engine.a.order") is None
    assert parse("engine.<instance_id>.fill", "engine.a.fill.b") is None
    assert parse("engine.<instance_id>.fill", "engine.A.fill") is None


def test_wildcards_match_one_token_each() -> None:
    assert wildcard("engine.<instance_id>.command.stop") == "engine.*.command.stop"
