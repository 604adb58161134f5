"""What is kept of a command's body holds no secret."""

import json

import pytest

from flotilla.bus.blanking import LONGEST, blanked, blanked_text


def kept(body: object) -> object:
    found = blanked(json.dumps(body).encode())
    return None if found is None else json.loads(found)


def test_whatever_stands_under_a_name_that_secrets_have_is_blanked_however_deep() -> None:
    body = {
        "config": {
            "venues": [
                {"name": "BINANCE", "config": {"api_key": "AKIA", "apiSecret": "s3cr3t", "depth": 20}}
            ],
            "secret": {"nested": ["a", 7, {"b": 1.5}]},
            "PASSWORD": "hunter2",
            "private_key": "-----BEGIN",
            "passphrase": "x",
            "access_token": 123456,
        },
        "instance_id": "e1",
    }
    found = json.dumps(kept(body))
    for secret in ("AKIA", "s3cr3t", "hunter2", "BEGIN", "123456", '"a"', "1.5", '"x"'):
        assert secret not in found
    assert '"depth": 20' in found
    assert '"instance_id": "e1"' in found
    assert '"BINANCE"' in found


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("wss://ann:hunter2@feed.example/v1?x=a@b", "wss://***@feed.example/v1?x=a@b"),
        ("redis://:p@ss@10.0.0.1:6379", "redis://***@10.0.0.1:6379"),
        (
            "see https://example.org/a and tell ann@example.org",
            "see https://example.org/a and tell ann@example.org",
        ),
    ],
)
def test_who_logs_in_by_a_url_is_blanked_whatever_name_it_has(given: str, found: str) -> None:
    assert kept({"base_url": [given]}) == {"base_url": [found]}


def test_flags_and_nulls_are_no_secrets() -> None:
    assert kept({"has_token": True, "token": None}) == {"has_token": True, "token": None}


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b'"text"', b"\xff", b"[" * 5_000, b'{"a":' * 900])
def test_what_is_no_object_is_not_kept(body: bytes) -> None:
    assert blanked(body) is None


def test_a_body_that_is_too_long_is_left_out_whole() -> None:
    assert kept({"a": "x" * (LONGEST - 20)}) is not None
    assert kept({"a": "x" * LONGEST}) is None


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("no host: redis://me:hunter2@cache:6379 is away", "no host: redis://***@cache:6379 is away"),
        ("GET /x?api_key=AKIAX&limit=5 failed", "GET /x?api_key=***&limit=5 failed"),
        ("""Expected `int`, got {"api_secret": "AKIAX"}""", """Expected `int`, got {"api_secret": ***}"""),
        ("hunter22 is no such thing", "*** is no such thing"),
        ("there is no key: e1", "there is no key: e1"),
        ("1 of 2 sessions flat and gone", "1 of 2 sessions flat and gone"),
    ],
)
def test_what_is_said_of_a_command_repeats_none_of_its_secrets(text: str, kept: str) -> None:
    body = b'{"config": {"parameters": {"api_secret": "hunter22", "token": "x", "limit": 1}}}'
    assert blanked_text(text, body) == kept


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'"token"', b"[" * 5000])
def test_a_text_about_a_body_that_is_none_is_kept(body: bytes) -> None:
    assert blanked_text("the body makes no sense", body) == "the body makes no sense"
