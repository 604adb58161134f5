"""Programs of other parts that are run."""

import os
from contextlib import aclosing
from pathlib import Path

import pytest

from flotilla.state.errors import ProgramFailedError
from flotilla.state.programs import output, output_lines, python


async def test_lines_come_while_the_program_runs() -> None:
    code = "import sys; print('one', flush=True); sys.stdin.read(); print('two')"
    async with aclosing(output_lines(python("-c", code))) as lines:
        assert [line async for line in lines] == ["one", "two"]


async def test_a_failure_carries_what_was_said_on_stderr() -> None:
    with pytest.raises(ProgramFailedError, match="no way") as caught:
        await output(python("-c", "import sys; print('no way', file=sys.stderr); sys.exit(4)"))
    assert caught.value.exit_code == 4


async def test_a_program_is_killed_when_nobody_reads_on() -> None:
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    async with aclosing(output_lines(python("-c", code))) as lines:
        pid = int(await anext(lines))
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_modules_in_the_current_folder_are_not_taken_for_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas/__init__.py").write_text("raise SystemExit('wrong schemas')")
    monkeypatch.chdir(tmp_path)
    assert await output(python("-c", "import schemas.ids; print('ours')")) == "ours"
