"""Which attached catalogs a container is given."""

from pathlib import Path

import msgspec
import pytest

from flotilla.engine_sidecar.worker.attached_catalogs import sees_too_little
from flotilla.schemas.catalog import ATTACHED_FILE, AttachedCatalog
from flotilla.schemas.session import BusAccess, Launch
from flotilla.services.supervisor.adapters.attached_catalogs import attached_paths, mountable
from tests.fakes.supervised import session


def attach(catalog: Path, *paths: str) -> None:
    found = [AttachedCatalog(name=f"n{number}", path=path) for number, path in enumerate(paths)]
    (catalog / ATTACHED_FILE).write_bytes(msgspec.json.encode(found))


def test_those_that_are_there_are_mounted(tmp_path: Path) -> None:
    there, away = tmp_path / "there", tmp_path / "away"
    there.mkdir()
    attach(tmp_path, str(there), str(away))
    assert attached_paths(str(tmp_path)) == (str(there), str(away))
    assert mountable(attached_paths(str(tmp_path))) == (str(there),)


@pytest.mark.parametrize("text", [None, b"{", b'[{"path": "/etc"}]'])
def test_a_file_that_is_not_there_or_no_such_file_mounts_nothing(tmp_path: Path, text: bytes | None) -> None:
    if text is not None:
        (tmp_path / ATTACHED_FILE).write_bytes(text)
    assert attached_paths(str(tmp_path)) == ()


def test_a_volume_has_none() -> None:
    assert attached_paths("flotilla-catalog") == ()


@pytest.mark.parametrize(
    ("given", "now", "is_too_little"),
    [
        (None, ("/a",), False),
        ((), (), False),
        (("/a", "/b"), ("/b", "/a"), False),
        ((), ("/a",), True),
        (("/a",), (), True),
    ],
)
def test_a_worker_whose_container_was_given_others_leaves_the_trials_to_another(
    tmp_path: Path, given: tuple[str, ...] | None, now: tuple[str, ...], is_too_little: bool
) -> None:
    if now:
        attach(tmp_path, *now)
    launch = Launch(
        bus=BusAccess(url="nats://127.0.0.1:1", creds=""),
        spec=session(),
        catalog_path=str(tmp_path),
        attached=given,
    )
    assert sees_too_little(launch) is is_too_little
