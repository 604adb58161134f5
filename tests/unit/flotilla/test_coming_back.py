"""Engines that ran when the stack was stopped: who of them runs again, and what is said of the others."""

from pathlib import Path
from typing import Any, cast

import pytest

from flotilla.client.client import Flotilla
from flotilla.schemas.fault import FaultCode, fault
from flotilla.show.progress import Narrator
from flotilla.stack.coming_back import bring_back
from flotilla.state.folder import StateFolder


class View:
    """An engine that does not run."""

    restart_at = None
    session = None


class Fleet:
    """Refuses what trades money, and what is under a stop flag."""

    def __init__(self) -> None:
        self.started: list[str] = []

    async def engine(self, name: str) -> View:
        if name == "forgotten":
            raise fault(FaultCode.NOT_FOUND, "no engine forgotten is known")
        return View()

    async def restart_engine(self, name: str) -> None:
        if name == "live":
            raise fault(FaultCode.CONFIRMATION_REQUIRED, "live trading must be confirmed")
        if name == "flagged":
            raise fault(FaultCode.CONFLICT, "an emergency stop keeps it from starting")
        self.started.append(name)


class Said:
    """What a narrator said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)

    warn = say


async def brought_back(folder: StateFolder) -> tuple[list[str], list[str]]:
    fleet, said = Fleet(), Said()
    await bring_back(folder, cast(Flotilla, cast(Any, fleet)), cast(Narrator, cast(Any, said)))
    return fleet.started, said.lines


async def test_what_may_not_start_by_itself_is_told_with_the_command_and_the_others_start(
    tmp_path: Path,
) -> None:
    folder = StateFolder(tmp_path)
    folder.wanted_file.write_text('{"engines": ["forgotten", "live", "flagged", "one"]}')
    started, said = await brought_back(folder)
    assert started == ["one"]
    forgotten, live, flagged, one = said
    assert "no engine forgotten is known" in forgotten
    assert live.endswith("must be confirmed (`flotilla engine restart live --confirm-live-trading`)")
    assert flagged.endswith("keeps it from starting (`flotilla engine restart flagged`)")
    assert one == "engine one starts again: it ran when the stack was stopped"
    assert await brought_back(folder) == ([], []), "it is asked once"


@pytest.mark.parametrize("kept", ["", "{", '{"engines": ["../x"]}', "[1]"])
async def test_a_file_that_cannot_be_read_starts_nothing_and_is_told(tmp_path: Path, kept: str) -> None:
    folder = StateFolder(tmp_path)
    folder.wanted_file.write_text(kept)
    started, (said,) = await brought_back(folder)
    assert started == []
    assert "wanted.json cannot be read" in said
