from pathlib import Path

import msgspec
import pytest

from schemas.fault import FaultCode, FaultError
from services.orchestrator.adapters.template_files import TemplateFiles
from services.orchestrator.core.parameters import Known
from services.orchestrator.core.rendering import render
from services.orchestrator.settings import OrchestratorSettings
from tests.unit.orchestrator.makers import config
from tests.unit.orchestrator.test_rendering import BARS, ENGINE, STRATEGY


def write(folder: Path, kind: str, template: dict[str, object]) -> Path:
    path = folder / kind / f"{template['name']}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.encode(template))
    return path


async def test_the_templates_that_come_with_us_are_sound_and_can_be_rendered() -> None:
    folder = OrchestratorSettings.from_env({}).templates
    shelf = await TemplateFiles(folder).shelf()
    assert set(shelf.engines) == {path.stem for path in (folder / "engines").glob("*.json")}
    assert set(shelf.strategies) == {path.stem for path in (folder / "strategies").glob("*.json")}
    known = Known(instruments=frozenset({"SPX.SIM"}), bar_types=frozenset({BARS}))
    plan = render(config(), shelf, known, session_id="s1").plan
    assert plan.node["trader_id"] == "E1-001"
    assert plan.instruments == ("SPX.SIM",)


async def test_a_template_that_is_not_sound_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, "engines", ENGINE)
    (tmp_path / "engines" / "broken.json").write_text("{")
    shelf = await TemplateFiles(tmp_path).shelf()
    assert set(shelf.engines) == {"sandbox"}


async def test_a_change_is_seen_at_the_next_reading(tmp_path: Path) -> None:
    write(tmp_path, "engines", ENGINE)
    files = TemplateFiles(tmp_path)
    assert (await files.shelf()).strategies == {}
    path = write(tmp_path, "strategies", STRATEGY)
    assert set((await files.shelf()).strategies) == {"ema_cross"}
    path.unlink()
    assert (await files.shelf()).strategies == {}


async def test_without_a_folder_templates_are_unavailable(tmp_path: Path) -> None:
    with pytest.raises(FaultError) as raised:
        await TemplateFiles(tmp_path / "none").shelf()
    assert raised.value.fault.code == FaultCode.UNAVAILABLE
