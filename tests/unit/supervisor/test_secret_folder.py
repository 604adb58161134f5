"""The secret store of a host."""

import os
from pathlib import Path

import pytest

from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.services.supervisor.adapters.secret_folder import SecretFolder

MAX_BYTES = 64 * 1024

VALUE = "VERY-SECRET-VALUE"


def put(folder: Path, name: str, text: str | bytes, mode: int = 0o600) -> None:
    path = folder / f"{name}.json"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(mode)


def fault(folder: Path, *names: str) -> str:
    with pytest.raises(FaultError) as caught:
        SecretFolder(folder).read(names)
    assert caught.value.fault.code == FaultCode.INVALID
    assert caught.value.fault.errors[0].field == "spec.plan.secrets"
    # Nothing of the file, not even in what led to the error.
    assert VALUE not in str(caught.value)
    assert caught.value.__cause__ is None
    return caught.value.fault.message


def test_entries_are_read_by_name_and_only_those_that_are_asked_for(tmp_path: Path) -> None:
    put(tmp_path, "binance", f'{{"api_key": "{VALUE}", "api_secret": "s"}}')
    put(tmp_path, "bybit", '{"api_key": "b"}')
    assert SecretFolder(tmp_path).read(["binance", "binance"]) == {
        "binance": {"api_key": VALUE, "api_secret": "s"}
    }
    assert SecretFolder(tmp_path / "nowhere").read([]) == {}


def test_an_entry_is_read_anew_at_each_start(tmp_path: Path) -> None:
    store = SecretFolder(tmp_path)
    put(tmp_path, "a", '{"k": "old"}')
    assert store.read(["a"]) == {"a": {"k": "old"}}
    put(tmp_path, "a", '{"k": "new"}')
    assert store.read(["a"]) == {"a": {"k": "new"}}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not valid JSON"),
        (f'{{"api_key": {VALUE}}}', "not valid JSON"),
        (f'"{VALUE}"', "not a JSON object"),
        (f'["{VALUE}"]', "not a JSON object"),
        ("{}", "empty"),
        (f'{{"api_key": "{VALUE}", "api_secret": ""}}', "empty"),
        (f'{{"api_key": "{VALUE}", "api_secret": null}}', "empty"),
        (b"\xff" + VALUE.encode(), "not valid JSON"),
        ("[" * 5000, "not valid JSON"),
        (f'{{"api_key": "{VALUE}", "x": "{"y" * MAX_BYTES}"}}', "over 64 KiB"),
    ],
)
def test_a_file_that_is_not_fit_is_named_with_its_problem_and_without_its_contents(
    tmp_path: Path, text: str | bytes, problem: str
) -> None:
    put(tmp_path, "keys", text)
    message = fault(tmp_path, "keys")
    assert "'keys'" in message
    assert problem in message


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o601])
def test_a_file_that_others_can_use_is_refused(tmp_path: Path, mode: int) -> None:
    put(tmp_path, "keys", f'{{"api_key": "{VALUE}"}}', mode)
    assert "chmod 600" in fault(tmp_path, "keys")


def test_what_is_not_there_or_not_a_file_is_said(tmp_path: Path) -> None:
    assert "not in the secret store" in fault(tmp_path, "keys")
    (tmp_path / "folder.json").mkdir(mode=0o700)
    assert "is not a file" in fault(tmp_path, "folder") or "cannot be read" in fault(tmp_path, "folder")
    os.mkfifo(tmp_path / "pipe.json", 0o600)
    assert "is not a file" in fault(tmp_path, "pipe")
