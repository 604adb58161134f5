"""Template files on disk: each is served, or told as a fault with the reason; never neither."""

import os
from pathlib import Path

import msgspec
import pytest

from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.services.orchestrator.adapters.template_files import TemplateFiles
from flotilla.services.orchestrator.settings import OrchestratorSettings
from flotilla.services.orchestrator.templates.core.parameters import Known
from flotilla.services.orchestrator.templates.core.rendering import render
from flotilla.services.orchestrator.templates.core.templates import TemplateSet
from tests.unit.orchestrator.makers import config
from tests.unit.orchestrator.test_loading import VENUE
from tests.unit.orchestrator.test_rendering import BARS, ENGINE, STRATEGY

MAX_BYTES = 256 * 1024


def write(folder: Path, kind: str, template: dict[str, object]) -> Path:
    path = folder / kind / f"{template['name']}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.encode(template))
    return path


def faults(template_set: TemplateSet) -> dict[str, str]:
    return {each.file: each.message for each in template_set.faults}


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    write(tmp_path / "ours", "engines", ENGINE)
    return tmp_path / "ours"


async def test_the_templates_that_come_with_us_are_sound_and_can_be_rendered() -> None:
    (folder,) = OrchestratorSettings.from_env({}).templates
    template_set = await TemplateFiles([folder]).template_set()
    assert template_set.faults == ()
    for kind, found in (
        ("engines", template_set.engines),
        ("strategies", template_set.strategies),
        ("venues", template_set.venues),
    ):
        assert set(found) == {path.stem for path in (folder / kind).glob("*.json")}
    known = Known(instruments=frozenset({"SPX.SIM"}), bar_types=frozenset({BARS}))
    plan = render(config(), template_set, known, session_id="s1").plan
    assert plan.node["trader_id"] == "E1-001"
    assert plan.instruments == ("SPX.SIM",)


async def test_every_file_that_is_no_sound_template_is_told_with_the_reason(
    ours: Path, tmp_path: Path
) -> None:
    folder = ours / "engines"
    (tmp_path / "secret.json").write_text("{}")
    (folder / "broken.json").write_text("{")
    (folder / "huge.json").write_text(" " * (MAX_BYTES + 1))
    (folder / "nested.json").write_text("[" * 50_000)
    (folder / "renamed.json").write_bytes(msgspec.json.encode(ENGINE))
    (folder / "unknown.json").write_bytes(msgspec.json.encode({**ENGINE, "name": "unknown", "eval": "1"}))
    (folder / "text.json").write_bytes(b"\xff\xfe")
    (folder / "empty.json").write_bytes(b"")
    (folder / "SHOUTED.JSON").write_text("{}")
    (folder / "folder.json").mkdir()
    (folder / "outside.json").symlink_to(tmp_path / "secret.json")
    (folder / "gone.json").symlink_to(folder / "nothing")
    (folder / "circle.json").symlink_to(folder / "circle.json")
    os.mkfifo(folder / "pipe.json")
    template_set = await TemplateFiles([ours]).template_set()
    assert set(template_set.engines) == {"sandbox_engine"}
    told = {
        "broken": "truncated",
        "huge": "larger than",
        "nested": "nested deeper",
        "renamed": "its name is sandbox_engine",
        "unknown": "unknown field `eval`",
        "text": "",
        "empty": "truncated",
        "folder": "directory",
        "outside": "leads out of its folder",
        "gone": "No such file",
        "circle": "symbolic links",
        "pipe": "no plain file",
    }
    found = faults(template_set)
    assert set(found) == {f"ours/engines/{name}.json" for name in told} | {"ours/engines/SHOUTED.JSON"}
    assert all(text in found[f"ours/engines/{name}.json"] for name, text in told.items())
    assert {each.kind for each in template_set.faults} == {"engine"}


async def test_a_link_within_the_folder_is_followed(ours: Path) -> None:
    (ours / "kept").mkdir()
    (ours / "kept" / "v1").write_bytes(msgspec.json.encode({**ENGINE, "name": "linked"}))
    (ours / "engines" / "linked.json").symlink_to(ours / "kept" / "v1")
    template_set = await TemplateFiles([ours]).template_set()
    assert (set(template_set.engines), template_set.faults) == ({"sandbox_engine", "linked"}, ())


async def test_people_add_folders_of_their_own(ours: Path, tmp_path: Path) -> None:
    write(tmp_path / "mine", "strategies", STRATEGY)
    write(tmp_path / "yours", "venues", VENUE)
    template_set = await TemplateFiles([ours, tmp_path / "mine", tmp_path / "yours"]).template_set()
    assert (set(template_set.engines), set(template_set.strategies), set(template_set.venues)) == (
        {"sandbox_engine"},
        {"ema_cross"},
        {"bazaar"},
    )
    assert template_set.ours == {("engine", "sandbox_engine")}
    assert template_set.faults == ()


async def test_a_template_with_a_name_of_ours_replaces_nothing_and_is_told(
    ours: Path, tmp_path: Path
) -> None:
    write(tmp_path / "mine", "engines", {**ENGINE, "description": "mine"})
    template_set = await TemplateFiles([ours, tmp_path / "mine"]).template_set()
    assert template_set.engines["sandbox_engine"].description == "d"
    assert faults(template_set) == {
        "mine/engines/sandbox_engine.json": "its name, sandbox_engine, is that of one of ours"
    }


async def test_a_broken_template_of_ours_is_not_replaced_either(ours: Path, tmp_path: Path) -> None:
    (ours / "engines" / "sandbox_engine.json").write_text("{")
    write(tmp_path / "mine", "engines", ENGINE)
    template_set = await TemplateFiles([ours, tmp_path / "mine"]).template_set()
    assert template_set.engines == {}
    assert set(faults(template_set)) == {f"{who}/engines/sandbox_engine.json" for who in ("ours", "mine")}


async def test_a_folder_of_ones_own_that_is_not_there_is_told(ours: Path, tmp_path: Path) -> None:
    template_set = await TemplateFiles([ours, tmp_path / "none"]).template_set()
    assert set(template_set.engines) == {"sandbox_engine"}
    assert [each.kind for each in template_set.faults] == ["engine", "strategy", "venue"]
    assert all("no such folder" in each.message for each in template_set.faults)


async def test_a_change_is_seen_at_the_next_reading(ours: Path) -> None:
    files = TemplateFiles([ours])
    before = await files.template_set()
    assert before.strategies == {}
    assert await files.template_set() is before
    path = write(ours, "strategies", STRATEGY)
    found = await files.template_set()
    assert set(found.strategies) == {"ema_cross"}
    path.write_text("{")
    broken = await files.template_set()
    assert (broken.strategies, [each.file for each in broken.faults]) == (
        {},
        ["ours/strategies/ema_cross.json"],
    )
    path.unlink()
    assert await files.template_set() == before


async def test_contents_are_told_apart_by_their_digest(ours: Path) -> None:
    files = TemplateFiles([ours])
    first = (await files.template_set()).digests
    write(ours, "engines", {**ENGINE, "description": "another"})
    second = (await files.template_set()).digests
    assert set(first) == set(second) == {("engine", "sandbox_engine")}
    assert first != second


async def test_without_our_own_folder_templates_are_unavailable(tmp_path: Path) -> None:
    with pytest.raises(FaultError) as raised:
        await TemplateFiles([tmp_path / "none"]).template_set()
    assert raised.value.fault.code == FaultCode.UNAVAILABLE
