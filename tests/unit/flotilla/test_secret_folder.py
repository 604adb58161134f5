"""The file-based secret store: written for its owner's eyes, and never read back to anybody."""

from pathlib import Path

import msgspec
import pytest

from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.state.secret_folder import SecretFolder, StoredSecret


@pytest.fixture
def folder(tmp_path: Path) -> SecretFolder:
    return SecretFolder(tmp_path / "secrets")


def test_what_is_stored_is_private_and_complete(folder: SecretFolder, tmp_path: Path) -> None:
    folder.save("binance_main", {"api_key": "k", "api_secret": "s"})
    file = tmp_path / "secrets/binance_main.json"
    assert msgspec.json.decode(file.read_bytes()) == {"api_key": "k", "api_secret": "s"}
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_only_names_are_shown(folder: SecretFolder) -> None:
    folder.save("b", {"y": "hidden", "x": "hidden"})
    folder.save("a", {"z": "hidden"})
    assert list(folder.all()) == [
        StoredSecret(name="a", fields=("z",)),
        StoredSecret(name="b", fields=("x", "y")),
    ]
    assert "hidden" not in repr(list(folder.all()))


def test_storing_again_replaces(folder: SecretFolder) -> None:
    folder.save("a", {"x": "1"})
    folder.save("a", {"y": "2"})
    assert [one.fields for one in folder.all()] == [("y",)]


@pytest.mark.parametrize("name", ["../a", "A", "", "a/b", "a.json", "a\n"])
def test_a_name_that_could_be_a_path_is_refused(folder: SecretFolder, name: str, tmp_path: Path) -> None:
    for attempt in (lambda: folder.save(name, {"x": "1"}), lambda: folder.remove(name)):
        with pytest.raises(FaultError) as caught:
            attempt()
        assert caught.value.fault.code == FaultCode.INVALID
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.parametrize("values", [{}, {"": "x"}])
def test_a_secret_without_fields_is_refused(folder: SecretFolder, values: dict[str, str]) -> None:
    with pytest.raises(FaultError, match="JSON object"):
        folder.save("a", values)


def test_removing_what_is_not_there_says_so(folder: SecretFolder) -> None:
    folder.save("a", {"x": "1"})
    folder.remove("a")
    with pytest.raises(FaultError) as caught:
        folder.remove("a")
    assert caught.value.fault.code == FaultCode.NOT_FOUND


def test_a_file_that_is_open_to_others_or_no_secret_is_named_and_not_quoted(
    folder: SecretFolder, tmp_path: Path
) -> None:
    folder.save("open", {"x": "1"})
    (tmp_path / "secrets/open.json").chmod(0o644)
    (tmp_path / "secrets/text.json").write_text("hunter2")
    (tmp_path / "secrets/text.json").chmod(0o600)
    assert [(one.name, one.problem) for one in folder.all()] == [
        ("open", "others can read it"),
        ("text", "it is no JSON object"),
    ]
