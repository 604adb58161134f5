"""The secret store of a host: encrypted for its owner, bound, and readable at every step of a change of keys."""

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flotilla.bus.secret_store import MAX_BYTES, SecretStore
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.secrets import SecretBinding, StoredSecret
from flotilla.schemas.states import TradingMode

CHECKOUT = Path(__file__).parents[3]
VALUE = "VERY-SECRET-VALUE"
BINANCE = SecretBinding(adapter="nautilus_trader.adapters.binance")
LIVE = SecretBinding(
    adapter="nautilus_trader.adapters.bybit",
    endpoints=("https://api.bybit.eu",),
    accounts=("main",),
    modes=(TradingMode.LIVE, TradingMode.PAPER),
)


@pytest.fixture
def store(tmp_path: Path) -> SecretStore:
    return store_in(tmp_path)


def store_in(root: Path) -> SecretStore:
    return SecretStore(root / "secrets", root / "keys/secrets.key")


def put(root: Path, name: str, text: str | bytes, mode: int = 0o600) -> Path:
    """A file as an earlier release, or somebody's hand, leaves it."""
    path = root / "secrets" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(mode)
    return path


def problem_of(attempt: Callable[[], object], code: FaultCode = FaultCode.INVALID) -> str:
    """What is said; nothing of any file stands in it, nor in what led to the error."""
    with pytest.raises(FaultError) as caught:
        attempt()
    assert caught.value.fault.code == code
    assert VALUE not in str(caught.value)
    assert caught.value.__cause__ is None
    return caught.value.fault.message


def everything(root: Path) -> bytes:
    return b"\n".join(path.read_bytes() for path in root.rglob("*") if path.is_file())


def test_what_is_stored_is_encrypted_private_and_comes_back_with_its_binding(
    store: SecretStore, tmp_path: Path
) -> None:
    store.save("binance_main", {"api_key": VALUE, "deep": {"pin": 7}}, LIVE)
    opened = store.read(["binance_main", "binance_main"])["binance_main"]
    assert (opened.values, opened.binding) == ({"api_key": VALUE, "deep": {"pin": 7}}, LIVE)
    assert VALUE not in repr(opened)
    for path in (tmp_path / "secrets/binance_main.json", tmp_path / "keys/secrets.key"):
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in (tmp_path / "secrets").iterdir()] == ["binance_main.json"]
    said = everything(tmp_path)
    assert VALUE.encode() not in said
    assert b"api_key" not in said
    assert base64.b64encode(VALUE.encode())[:12] not in said


def test_nothing_is_made_before_a_secret_is(store: SecretStore, tmp_path: Path) -> None:
    assert (list(store.all()), store.read([]), store.encrypt_plain()) == ([], {}, ((), ()))
    assert list(tmp_path.iterdir()) == []


def test_only_names_and_bindings_are_shown(store: SecretStore) -> None:
    store.save("b", {"y": VALUE, "x": VALUE}, BINANCE)
    store.save("a", {"z": VALUE}, LIVE)
    assert list(store.all()) == [
        StoredSecret(name="a", fields=("z",), binding=LIVE),
        StoredSecret(name="b", fields=("x", "y"), binding=BINANCE),
    ]


def test_storing_again_keeps_the_binding_unless_another_is_given(store: SecretStore) -> None:
    store.save("a", {"x": "1"}, LIVE)
    assert store.save("a", {"y": "2"}) == LIVE
    assert store.read(["a"])["a"].values == {"y": "2"}
    assert store.save("a", {"y": "3"}, BINANCE) == BINANCE
    assert store.read(["a"])["a"].binding == BINANCE


def test_without_a_binding_nothing_is_stored(store: SecretStore) -> None:
    assert "--adapter" in problem_of(lambda: store.save("a", {"x": VALUE}))
    assert list(store.all()) == []


def test_a_secret_is_bound_anew_with_its_values_as_they_are(store: SecretStore, tmp_path: Path) -> None:
    put(tmp_path, "old", f'{{"api_key": "{VALUE}"}}')
    store.bind("old", BINANCE)
    store.bind("old", LIVE)
    assert store.read(["old"])["old"].values == {"api_key": VALUE}
    assert store.read(["old"])["old"].binding == LIVE
    problem_of(lambda: store.bind("none", BINANCE), FaultCode.NOT_FOUND)


@pytest.mark.parametrize("name", ["../a", "A", "", "a/b", "a.json", "a\n"])
def test_a_name_that_could_be_a_path_is_refused(store: SecretStore, name: str, tmp_path: Path) -> None:
    for attempt in (
        lambda: store.save(name, {"x": "1"}, BINANCE),
        lambda: store.remove(name),
        lambda: store.bind(name, BINANCE),
        lambda: store.read([name]),
    ):
        problem_of(attempt)
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({}, "JSON object"),
        ({"": "x"}, "JSON object"),
        ({"api_key": VALUE, "api_secret": ""}, "values.api_secret"),
        ({"api_key": VALUE, "api_secret": None}, "values.api_secret"),
        ({"api_key": "x" * MAX_BYTES}, "over 64 KiB"),
    ],
)
def test_values_that_no_client_could_use_are_refused(
    store: SecretStore, values: dict[str, Any], problem: str
) -> None:
    assert problem in problem_of(lambda: store.save("a", values, BINANCE))
    assert list(store.all()) == []


def test_the_largest_secret_comes_back(store: SecretStore) -> None:
    values = {"certificate": "x" * (MAX_BYTES - 20)}
    store.save("a", values, BINANCE)
    assert store.read(["a"])["a"].values == values


def test_removing_what_is_not_there_says_so(store: SecretStore) -> None:
    store.save("a", {"x": "1"}, BINANCE)
    store.remove("a")
    problem_of(lambda: store.remove("a"), FaultCode.NOT_FOUND)
    assert "is not in the secret store" in problem_of(lambda: store.read(["a"]))


# What was changed.


def changed(path: Path, **change: Any) -> None:
    path.write_bytes(msgspec.json.encode(json.loads(path.read_bytes()) | change))


def test_a_file_that_was_swapped_renamed_or_edited_is_refused(store: SecretStore, tmp_path: Path) -> None:
    store.save("a", {"x": VALUE}, LIVE)
    store.save("b", {"x": "1"}, BINANCE)
    a, b = tmp_path / "secrets/a.json", tmp_path / "secrets/b.json"
    kept, other = a.read_bytes(), json.loads(b.read_bytes())
    box = base64.b64decode(json.loads(kept)["box"])
    cases: tuple[tuple[str, Callable[[], object]], ...] = (
        ("another one's file", lambda: shutil.copy(b, a)),
        ("was edited", lambda: changed(a, binding=other["binding"])),
        (
            "was edited",
            lambda: changed(
                a, binding={**json.loads(kept)["binding"], "endpoints": ["https://evil.example"]}
            ),
        ),
        ("was edited", lambda: changed(a, binding={"adapter": "x"})),
        ("was edited", lambda: changed(a, binding=None)),
        ("was edited", lambda: changed(a, box=other["box"])),
        ("was edited", lambda: changed(a, box=base64.b64encode(box[:-1] + bytes([box[-1] ^ 1])).decode())),
        ("was edited", lambda: changed(a, box=base64.b64encode(box[:9]).decode())),
        ("was edited", lambda: changed(a, box="")),
        ("was edited", lambda: changed(a, box="?")),
        ("newer release", lambda: changed(a, flotilla_secret=2)),
        ("newer release", lambda: changed(a, note=VALUE)),
        ("newer release", lambda: changed(a, binding={"adapter": "x", "note": VALUE})),
        ("key 9", lambda: changed(a, box=base64.b64encode(b"\x09" + box[1:]).decode())),
    )
    for problem, change in cases:
        change()
        assert problem in problem_of(lambda: store.read(["a"])), problem
        assert [one.problem != "" for one in store.all()] == [True, False]
        a.write_bytes(kept)
        assert store.read(["a"])["a"].values == {"x": VALUE}
    a.rename(a.with_name("c.json"))
    assert "another one's file" in problem_of(lambda: store.read(["c"]))


def test_a_file_in_another_layout_means_the_same(store: SecretStore, tmp_path: Path) -> None:
    store.save("a", {"x": VALUE}, LIVE)
    path = tmp_path / "secrets/a.json"
    body = json.loads(path.read_bytes())
    path.write_text(json.dumps(dict(reversed(body.items())), indent=8))
    assert store.read(["a"])["a"].binding == LIVE


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
        (f'{{"api_key": "{VALUE}", "x": "{"y" * 2 * MAX_BYTES}"}}', "over 128 KiB"),
        (f'{{"api_key": "{VALUE}"}}', "not encrypted yet"),
        (f'{{"flotilla_secret": 1, "api_key": "{VALUE}"}}', "was edited"),
    ],
)
def test_a_file_that_is_not_fit_is_named_with_its_problem_and_without_its_contents(
    store: SecretStore, tmp_path: Path, text: str | bytes, problem: str
) -> None:
    put(tmp_path, "keys", text)
    message = problem_of(lambda: store.read(["keys"]))
    assert "'keys'" in message
    assert problem in message
    (shown,) = store.all()
    assert shown.problem
    assert VALUE not in repr(shown)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o601])
def test_a_file_that_others_can_use_is_refused(store: SecretStore, tmp_path: Path, mode: int) -> None:
    store.save("keys", {"x": VALUE}, BINANCE)
    for path in (tmp_path / "secrets/keys.json", tmp_path / "keys/secrets.key"):
        path.chmod(mode)
        assert "chmod 600" in problem_of(lambda: store.read(["keys"]))
        path.chmod(0o600)


def test_what_is_not_a_file_is_said(store: SecretStore, tmp_path: Path) -> None:
    put(tmp_path, "x", "{}")
    (tmp_path / "secrets/folder.json").mkdir(mode=0o700)
    message = problem_of(lambda: store.read(["folder"]))
    assert "is not a file" in message or "cannot be read" in message
    os.mkfifo(tmp_path / "secrets/pipe.json", 0o600)
    assert "is not a file" in problem_of(lambda: store.read(["pipe"]))


# Keys.


@pytest.mark.parametrize(
    "text",
    [
        "",
        VALUE,
        f"1 {VALUE}",
        "0 " + "A" * 43 + "=",
        "256 " + "A" * 43 + "=",
        "1 " + "A" * 42 + "==",
        "é",
        "1",
        "1 2 3",
    ],
)
def test_a_key_file_that_is_none_is_refused_and_not_quoted(
    store: SecretStore, tmp_path: Path, text: str
) -> None:
    store.save("a", {"x": VALUE}, BINANCE)
    key = tmp_path / "keys/secrets.key"
    key.write_text(text)
    for attempt in (
        lambda: store.read(["a"]),
        lambda: store.save("a", {"x": "1"}, BINANCE),
        store.rotate_key,
    ):
        message = problem_of(attempt)
        assert str(key) in message
        assert "key a line" in message
    assert key.read_text() == text


def test_without_its_key_a_secret_says_which_and_a_new_one_gets_another_number(
    store: SecretStore, tmp_path: Path
) -> None:
    store.save("a", {"x": VALUE}, BINANCE)
    key = tmp_path / "keys/secrets.key"
    key.unlink()
    assert f"key 1, which is not among the keys of this host: {key}" in problem_of(lambda: store.read(["a"]))
    problem_of(store.rotate_key)
    store.save("b", {"x": "1"}, BINANCE)
    assert key.read_text().startswith("2 ")
    assert [(one.name, bool(one.problem)) for one in store.all()] == [("a", True), ("b", False)]


def test_a_new_key_encrypts_all_and_the_old_one_opens_nothing_any_more(
    store: SecretStore, tmp_path: Path
) -> None:
    store.save("a", {"x": VALUE}, LIVE)
    put(tmp_path, "old", f'{{"api_key": "{VALUE}"}}')
    shutil.copytree(tmp_path / "keys", tmp_path / "old/keys")
    done = store.rotate_key()
    assert (done.key, done.secrets) == (2, ("a", "old"))
    assert {name: one.binding for name, one in store.read(["a", "old"]).items()} == {"a": LIVE, "old": None}
    assert VALUE.encode() not in everything(tmp_path)
    (line,) = (tmp_path / "keys/secrets.key").read_text().splitlines()
    assert line.startswith("2 ")
    assert "key 2" in problem_of(
        lambda: SecretStore(tmp_path / "secrets", tmp_path / "old/keys/secrets.key").read(["a"])
    )


def test_keys_are_numbered_round_and_no_number_comes_back_at_once(store: SecretStore) -> None:
    numbers = [store.rotate_key().key for _ in range(257)]
    assert numbers == [*range(1, 256), 1, 2]


def test_keys_are_not_changed_while_a_secret_cannot_be_read(store: SecretStore, tmp_path: Path) -> None:
    store.save("a", {"x": VALUE}, BINANCE)
    put(tmp_path, "b", "no json")
    before = everything(tmp_path)
    assert "'b'" in problem_of(store.rotate_key)
    assert everything(tmp_path) == before


def test_with_a_key_file_of_somebody_elses_the_first_key_encrypts(store: SecretStore, tmp_path: Path) -> None:
    store.save("a", {"x": VALUE}, LIVE)
    key = tmp_path / "keys/secrets.key"
    key.write_text(f"7 {base64.b64encode(b'k' * 32).decode()}\n{key.read_text()}")
    given = key.read_text()
    assert store.encrypt_again().key == 7
    assert key.read_text() == given
    key.write_text(given.splitlines()[0])
    assert store.read(["a"])["a"].binding == LIVE


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_key_file_that_may_not_be_written_says_what_to_do(store: SecretStore, tmp_path: Path) -> None:
    store.save("a", {"x": VALUE}, BINANCE)
    (tmp_path / "keys").chmod(0o500)
    assert "--keep-keys" in problem_of(store.rotate_key)
    (tmp_path / "keys").chmod(0o700)


# An earlier release's.


def test_files_of_an_earlier_release_are_encrypted_and_bound_to_nothing(
    store: SecretStore, tmp_path: Path
) -> None:
    put(tmp_path, "binance", f'{{"api_key": "{VALUE}", "api_secret": "{VALUE}"}}')
    put(tmp_path, "open", f'{{"api_key": "{VALUE}-2"}}', 0o644)
    put(tmp_path, "text", "hunter2")
    store.save("new", {"x": "1"}, BINANCE)
    done, failed = store.encrypt_plain()
    assert done == ("binance",)
    assert [problem.split()[2] for problem in failed] == ["'open'", "'text'"]
    opened = store.read(["binance"])["binance"]
    assert (opened.values, opened.binding) == ({"api_key": VALUE, "api_secret": VALUE}, None)
    assert [(one.name, one.problem != "") for one in store.all()] == [
        ("binance", True), ("new", False), ("open", True), ("text", True),
    ]  # fmt: skip
    assert f'"{VALUE}"'.encode() not in everything(tmp_path)
    assert store.encrypt_plain()[0] == ()


# Killed at any step, and beside others.

STOPPED = """
import os, signal, sys
from pathlib import Path
from flotilla.bus.secret_store import SecretStore

left = int(sys.argv[3])

def counted(real):
    def call(*given, **named):
        global left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        return real(*given, **named)
    return call

for name in ("fsync", "replace"):
    setattr(os, name, counted(getattr(os, name)))
root = Path(sys.argv[2])
getattr(SecretStore(root / "secrets", root / "keys/secrets.key"), sys.argv[1])()
"""


def killed_at(step: int, verb: str, root: Path) -> bool:
    """Runs a verb of the store in a process that is killed before its `step`th rename or fsync; False when it has fewer."""
    argv = [sys.executable, "-c", STOPPED, verb, str(root), str(step)]
    done = subprocess.run(argv, cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


def test_killed_at_any_step_of_a_change_of_keys_every_secret_can_be_read(tmp_path: Path) -> None:
    store_in(tmp_path / "base").save("a", {"x": VALUE}, LIVE)
    store_in(tmp_path / "base").save("b", {"x": "1"}, BINANCE)
    wanted = store_in(tmp_path / "base").read(["a", "b"])
    old = (tmp_path / "base/keys/secrets.key").read_bytes()
    for step in count():
        root = tmp_path / str(step)
        shutil.copytree(tmp_path / "base", root)
        was_killed = killed_at(step, "rotate_key", root)
        assert store_in(root).read(["a", "b"]) == wanted, step
        if not was_killed:
            break
        store_in(root).rotate_key()
        assert store_in(root).read(["a", "b"]) == wanted
        # Nothing of the old key is left, nor of the one that the killed one had made.
        assert old.split()[1] not in everything(root)
        assert [path.name for path in (root / "keys").iterdir()] == ["secrets.key"]
        assert len((root / "keys/secrets.key").read_text().splitlines()) == 1
        assert sorted(path.name for path in (root / "secrets").iterdir()) == ["a.json", "b.json"]
    # A key file, two secrets and the key file again, with two fsyncs and a rename each.
    assert step == 12


def test_killed_at_any_step_of_an_upgrade_no_secret_is_lost(tmp_path: Path) -> None:
    for name in ("a", "b"):
        put(tmp_path / "base", name, f'{{"x": "{VALUE}-{name}"}}')
    for step in count():
        root = tmp_path / str(step)
        shutil.copytree(tmp_path / "base", root)
        was_killed = killed_at(step, "encrypt_plain", root)
        store_in(root).encrypt_plain()
        found = store_in(root).read(["a", "b"])
        assert {name: one.values for name, one in found.items()} == {
            name: {"x": f"{VALUE}-{name}"} for name in ("a", "b")
        }
        assert VALUE.encode() not in everything(root)
        if not was_killed:
            break
    assert step == 9


def test_a_secret_whose_key_changes_while_it_is_read_is_read_again(
    store: SecretStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save("a", {"x": VALUE}, LIVE)
    real, changes = store._content, iter((True, True))

    def content(path: Path) -> bytes:
        data = real(path)
        if next(changes, False):
            store_in(tmp_path).rotate_key()
        return data

    monkeypatch.setattr(store, "_content", content)
    assert store.read(["a"])["a"].values == {"x": VALUE}


def test_a_reader_never_misses_a_secret_while_keys_change_and_no_writer_is_lost(tmp_path: Path) -> None:
    store_in(tmp_path).save("a", {"x": VALUE}, LIVE)
    is_over = threading.Event()
    problems: list[str] = []

    def rotate() -> None:
        for _ in range(60):
            store_in(tmp_path).rotate_key()
        is_over.set()

    def write() -> None:
        number = 0
        while not is_over.is_set():
            store_in(tmp_path).save("b", {"x": str(number)}, BINANCE)
            if store_in(tmp_path).read(["b"])["b"].values != {"x": str(number)}:
                problems.append("a write was lost")
            number += 1

    threads = [threading.Thread(target=each) for each in (rotate, write)]
    for thread in threads:
        thread.start()
    reads = 0
    while not is_over.is_set():
        assert store_in(tmp_path).read(["a"])["a"].values == {"x": VALUE}
        reads += 1
    for thread in threads:
        thread.join(30)
    assert (problems, reads > 0) == ([], True)
    assert [one.problem for one in store_in(tmp_path).all()] == ["", ""]
