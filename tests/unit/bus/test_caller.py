"""Who is behind a request: what its inbox names, and what it says of itself."""

import pytest

from flotilla.bus.endpoint import Asked, asked, asking, caller_of, headers_of, scope_of
from flotilla.schemas.audit import Caller
from flotilla.schemas.labels import matches


def test_what_is_said_of_a_caller_arrives_with_the_connection_that_hears_the_answer() -> None:
    said = headers_of(Caller(name="ann", origin="10.0.0.5", via="rest"))
    found = caller_of("_INBOX_gateway.abc.1", said)
    assert found == Caller(credential="gateway", name="ann", origin="10.0.0.5", via="rest")


@pytest.mark.parametrize(
    ("reply", "credential"),
    [
        ("_INBOX_operator.abc.1", "operator"),
        ("_INBOX_engine_e1.abc", "engine_e1"),
        ("_INBOX.abc.1", ""),
        ("fleet.engine.start", ""),
        ("", ""),
    ],
)
def test_only_an_inbox_names_a_connection(reply: str, credential: str) -> None:
    assert caller_of(reply, None).credential == credential


def test_nobody_is_introduced_by_no_headers() -> None:
    assert headers_of(None) is None
    assert headers_of(Caller()) is None
    assert caller_of("_INBOX_operator.1", {"Other": "x"}) == Caller(credential="operator")


def test_what_is_said_stays_on_one_line_and_is_bounded() -> None:
    said = headers_of(Caller(name="jos\u00e9\r\nNats-Msg-Id: x" + "y" * 500)) or {}
    (text,) = said.values()
    assert "\r" not in text
    assert "\n" not in text
    assert text.isascii()
    assert len(text) <= 200
    forged = caller_of("_INBOX_operator.1", {"Flotilla-Caller": "a\nb" * 500})
    assert "\n" not in forged.name
    assert len(forged.name) <= 200


@pytest.mark.parametrize(
    ("caller", "is_vouched_for"),
    [
        (Caller(credential="gateway", name="ann"), True),
        (Caller(credential="gateway"), False),
        (Caller(credential="operator", name="ann"), False),
        (Caller(name="ann"), False),
        (Caller(credential="engine_gateway", name="ann"), False),
    ],
)
def test_only_the_gateway_vouches_for_a_name(caller: Caller, is_vouched_for: bool) -> None:
    assert caller.is_vouched_for == is_vouched_for


def test_what_is_asked_is_known_while_it_is_handled_and_not_after() -> None:
    one = Asked(Caller(name="ann"), b"{}")
    with asking(one):
        assert asked() == one
    assert asked() == Asked()


def test_the_labels_that_limit_a_request_arrive_whole() -> None:
    scope = {f"k{number}": "v" * 63 for number in range(16)}
    assert scope_of(headers_of(Caller(name="ann"), scope)) == scope
    assert scope_of(headers_of(None, {"desk": "a"})) == {"desk": "a"}
    assert scope_of(headers_of(Caller(name="ann"))) == {}
    assert scope_of(None) == {}


@pytest.mark.parametrize("text", ["", "desk", "Desk=a", "desk=a,desk=b", "desk=a;zone=b", "*"])
def test_labels_that_cannot_be_read_limit_a_request_to_nothing(text: str) -> None:
    scope = scope_of({"Flotilla-Scope": text})
    assert scope
    assert not any(matches(labels, scope) for labels in ({}, {"desk": "a"}, {"desk": "a", "zone": "b"}))
