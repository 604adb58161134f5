"""Labels: which are some, which are none, and what a selector matches."""

from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flotilla.schemas.config import EngineConfig
from flotilla.schemas.decoding import convert, decode
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.labels import (
    KEY_PATTERN,
    MOST_LABELS,
    VALUE_PATTERN,
    Labels,
    matches,
    parse_labels,
    read_labels,
)
from flotilla.schemas.telemetry import HostHeartbeat

KEYS = st.from_regex(KEY_PATTERN)
VALUES = st.from_regex(VALUE_PATTERN)
LABELS = st.dictionaries(KEYS, VALUES, max_size=MOST_LABELS)


@given(LABELS)
def test_labels_are_read_as_they_are_written_and_need_no_quoting_anywhere(labels: dict[str, str]) -> None:
    pairs = [f"{key}={value}" for key, value in labels.items()]
    assert parse_labels(pairs) == labels
    assert msgspec.json.decode(msgspec.json.encode(labels), type=Labels) == labels
    for text in (*labels, *labels.values()):
        assert text.isascii()
        assert quote(text) == text
        assert "," not in text
        assert len(text) <= 63


@given(st.text(max_size=70) | KEYS, st.text(max_size=70) | VALUES)
def test_the_parser_and_the_type_agree_on_what_a_label_is(key: str, value: str) -> None:
    try:
        parsed = parse_labels([f"{key}={value}"])
    except ValueError:
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({key: value}, Labels)
    else:
        assert parsed == msgspec.convert({key: value}, Labels) == {key: value}


@given(LABELS, LABELS)
def test_a_selector_matches_what_has_all_of_its_pairs(labels: dict[str, str], wanted: dict[str, str]) -> None:
    assert matches(labels, wanted) == all(labels.get(key) == value for key, value in wanted.items())
    assert matches({**labels, **wanted}, wanted)


@given(LABELS)
def test_an_empty_selector_matches_everything(labels: dict[str, str]) -> None:
    assert matches(labels, {})


def test_another_value_does_not_match() -> None:
    assert not matches({"desk": "rates"}, {"desk": "rate"})
    assert not matches({}, {"desk": "rates"})
    assert not matches({"desk": "rates"}, {"desk": "rates", "zone": "b"})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "desk",
        "desk=",
        "=rates",
        "=",
        "Desk=rates",
        "1=rates",
        "-a=b",
        "desk=a b",
        "desk=a=b",
        "desk=a,zone=b",
        "desk=rates\n",
        "desk\n=rates",
        "desk=-a",
        "desk=a/b",
        "desk=a+b",
        "desk=é",
        "dësk=a",
        "desk=\x00",
        "desk=\u202ea",
        "desk='a",
        f"{'k' * 64}=a",
        f"desk={'v' * 64}",
    ],
)
def test_what_is_no_label_is_refused_with_the_form_of_one(text: str) -> None:
    with pytest.raises(ValueError, match="is not key=value: the key of lower case letters"):
        parse_labels([text])


def test_a_key_given_twice_is_refused_whatever_its_values() -> None:
    for second in ("desk=rates", "desk=fx"):
        with pytest.raises(ValueError, match="desk is given twice"):
            parse_labels(["desk=rates", second])


def test_there_are_sixteen_labels_at_most() -> None:
    pairs = [f"k{number}=v" for number in range(MOST_LABELS)]
    assert len(parse_labels(pairs)) == 16
    with pytest.raises(ValueError, match="more than 16 labels"):
        parse_labels([*pairs, "one=more"])


def test_an_error_names_the_field_and_repeats_no_more_than_a_label_has() -> None:
    with pytest.raises(FaultError) as caught:
        read_labels(["x" * 100_000], "label")
    assert caught.value.fault.code == FaultCode.INVALID
    (error,) = caught.value.fault.errors
    assert error.field == "label"
    assert len(error.message) < 500


@pytest.mark.parametrize(
    ("labels", "field"),
    [
        ([], "config.labels"),
        ("desk=rates", "config.labels"),
        (None, "config.labels"),
        ({"Desk": "rates"}, "config.labels"),
        ({"desk\n": "rates"}, "config.labels"),
        ({"": "rates"}, "config.labels"),
        ({"a=b": "rates"}, "config.labels"),
        ({"desk": 1}, "config.labels.desk"),
        ({"desk": None}, "config.labels.desk"),
        ({"desk": ""}, "config.labels.desk"),
        ({"desk": "a\n"}, "config.labels.desk"),
        ({"zone": "b", "desk": "é"}, "config.labels.desk"),
        ({"desk": "v" * 64}, "config.labels.desk"),
        ({"k" * 64: "v"}, "config.labels"),
        ({f"k{number}": "v" for number in range(17)}, "config.labels"),
        ({f"k{number}": "v" for number in range(10_000)}, "config.labels"),
    ],
)
def test_what_is_no_labels_is_refused_naming_the_field(labels: Any, field: str) -> None:
    with pytest.raises(FaultError) as caught:
        convert({"labels": labels}, EngineConfig, "config")
    with pytest.raises(FaultError) as decoded:
        decode(msgspec.json.encode({"config": {"labels": labels}}), Body)
    for told in (caught, decoded):
        assert told.value.fault.code == FaultCode.INVALID
        assert [error.field for error in told.value.fault.errors] == [field]
        assert len(told.value.fault.message) < 500


class Body(msgspec.Struct):
    config: EngineConfig


def test_a_configuration_that_was_stored_before_there_were_labels_has_none() -> None:
    stored = msgspec.to_builtins(EngineConfig(instance_id="a"))
    del stored["labels"]
    assert msgspec.json.decode(msgspec.json.encode(stored), type=EngineConfig) == EngineConfig(
        instance_id="a"
    )


def test_heartbeats_are_understood_between_a_supervisor_with_labels_and_one_without() -> None:
    beat = HostHeartbeat(
        host="h1",
        runtime="docker",
        at_ns=1,
        cpus=2,
        memory_bytes=1,
        sessions=0,
        version="1",
        labels={"zone": "b"},
    )
    fields = [
        (field.name, field.type, field.default)
        if field.default is not msgspec.NODEFAULT
        else (field.name, field.type)
        for field in msgspec.structs.fields(HostHeartbeat)
        if field.name not in ("labels", "detail")
    ]
    earlier = msgspec.defstruct("HostHeartbeat", fields, kw_only=True, frozen=True)
    read = msgspec.json.decode(msgspec.json.encode(beat), type=earlier)
    assert msgspec.json.decode(msgspec.json.encode(read), type=HostHeartbeat) == msgspec.structs.replace(
        beat, labels={}
    )
