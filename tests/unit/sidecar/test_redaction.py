"""Secrets in what engines say."""

import msgspec
import pytest

from flotilla.engine_sidecar.link.asking import Answer
from flotilla.engine_sidecar.outbox.redaction import Redaction, secrets_of
from flotilla.schemas.fault import Fault, FaultCode, FieldError
from flotilla.schemas.session import BusAccess, CacheAccess, Launch
from flotilla.schemas.states import RunState
from flotilla.schemas.telemetry import Alert, Severity, StateChange
from tests.unit.sidecar.samples import spec


@pytest.mark.parametrize(
    ("secret", "text", "redacted"),
    [
        ("s3cret", "key=s3cret;", "key=***;"),
        ("abc", "abc", "abc"),
        ("abcd", "abcdabcd", "******"),
        ('a"bcd', 'said {"k": "a\\"bcd"}', 'said {"k": "***"}'),
        ("a'b\\cd", repr("a'b\\cd"), '"***"'),
        ("pässword", '"p\\u00e4ssword"', '"***"'),
        ("first line\nsecond line\n", "  second line", "  ***"),
        ("a.c+d", "abc+d a.c+d", "abc+d ***"),
    ],
)
def test_a_secret_is_found_however_it_is_quoted(secret: str, text: str, redacted: str) -> None:
    assert Redaction([secret]).text(text) == redacted


def test_the_longer_of_two_secrets_is_taken_out_whole() -> None:
    assert Redaction(["pass", "passport"]).text("passport pass") == "*** ***"


def test_a_secret_that_is_also_a_word_of_ours_breaks_no_message() -> None:
    redaction = Redaction(["stopped", "warning", "code"])
    change = StateChange(
        state=RunState.STOPPED, detail="stopped", log_tail=("stopped",), not_confirmed=("stopped",)
    )
    said = redaction.said(change)
    assert (said.state, said.detail, said.log_tail, said.not_confirmed) == (
        "stopped",
        "***",
        ("***",),
        ("***",),
    )
    alert = Alert(severity=Severity.WARNING, code="code", message="a code")
    data = redaction.data(msgspec.json.encode(alert), Alert)
    assert msgspec.json.decode(data, type=Alert) == Alert(
        severity=Severity.WARNING, code="code", message="a ***"
    )


def test_faults_are_redacted_too() -> None:
    fault = Fault(
        code=FaultCode.INVALID, message="bad s3cret", errors=(FieldError("strategy", "bad s3cret"),)
    )
    said = Redaction(["s3cret"]).said(Answer(1, message="s3cret", fault=fault))
    assert "s3cret" not in repr(said)


def test_every_value_that_was_handed_over_in_confidence_counts() -> None:
    launch = Launch(
        bus=BusAccess(url="nats://x", creds=""),
        spec=spec(),
        catalog_path="/data",
        cache=CacheAccess(host="h", port=1, username="u", password="of the cache"),
        secrets={"one": {"api_key": "key", "deep": [{"inner": "deep"}, 7, None]}},
    )
    assert set(secrets_of(launch)) == {"key", "deep", "of the cache"}
