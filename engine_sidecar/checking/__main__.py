"""`python -m flotilla.engine_sidecar.checking`: one CheckLine as JSON on stdin, and the wheels that it names behind it; on stdout
PlanProblems, PackageFindings, or EnginePython. No bus.

Exit code 78 says that the input could not be read. What is checked is not trusted: each strategy, plan and package has a process of
its own, which may end or hang as it likes.
"""

import select
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from flotilla.engine_sidecar.checking.free_texts import shown, shown_findings
from flotilla.engine_sidecar.checking.isolated_check import PATIENCE_S, IsolatedCheck, Walls
from flotilla.engine_sidecar.checking.requirements import python_here, requirement_problems
from flotilla.engine_sidecar.confinement.confine import KernelLocks
from flotilla.engine_sidecar.link.own_folders import make_folder
from flotilla.engine_sidecar.link.wheel_folders import WheelFolders
from flotilla.engine_sidecar.strategies.import_path import extend_path, named_folders
from flotilla.engine_sidecar.strategies.packages import OpenPackages, UnpackingError
from flotilla.schemas.environment import WHEELS_FOLDER
from flotilla.schemas.fault import FieldError
from flotilla.schemas.package import EnginePython, PackageFindings, Wheel
from flotilla.schemas.package_archive import ArchiveError, unpack
from flotilla.schemas.session import CheckLine, PlanProblems
from flotilla.schemas.wheel_archive import OpenWheel

type Answer = PlanProblems | PackageFindings | EnginePython
MAX_BYTES: Final = 16 << 20
PACKAGE_S: Final = 15.0
"""For the import of all modules of a package, and building what is in it."""


def problems_of(
    check: CheckLine, patience_s: float = PATIENCE_S, wheels: WheelFolders | None = None
) -> PlanProblems:
    """Everything that NautilusTrader refuses. Takes little more than `patience_s`, however much is checked."""
    from flotilla.engine_sidecar.checking.imported import plan_check  # noqa: PLC0415 - a second

    extend_path()
    packages = OpenPackages()
    try:
        labels = [package.label for package in check.plan.packages] if check.plan else ()
        packages.add(check.archives, labels, wheels.path if wheels else "")
        trials = [
            IsolatedCheck(f"strategies[{index}]", _judging(plan_check.strategy_problems, index, strategy))
            for index, strategy in enumerate(check.strategies)
        ]
        if (plan := check.plan) is not None:
            trials.append(IsolatedCheck("plan", lambda: plan_check.plan_problems(plan)))
        found = [problem for trial in trials for problem in trial.verdict(patience_s)]
    except (ArchiveError, UnpackingError) as error:
        found = [FieldError("packages", str(error))]
    finally:
        packages.close()
    return PlanProblems(problems=tuple(found))


def package_of(
    check: CheckLine,
    patience_s: float = PACKAGE_S,
    wheels: WheelFolders | None = None,
    opened: Callable[[], Sequence[OpenWheel]] = tuple,
) -> PackageFindings:
    """What is in the first archive, or what is wrong with it. Its process has no network, and one folder of its own to write to.

    `opened` reads the wheels that came with it, which are let go before anything is forked.
    """
    from flotilla.engine_sidecar.checking.imported import package_check  # noqa: PLC0415 - a second

    extend_path()
    packages, scratch = OpenPackages(), make_folder()
    try:
        files = unpack(check.archives[0])
        if unmet := _unmet(files, opened()):
            return PackageFindings(problems=unmet)
        packages.add(check.archives[:1], wheels=wheels.path if wheels else "")
        readable = (packages.folder, wheels.path if wheels else "", *named_folders())
        walls = Walls(scratch, readable=tuple(Path(folder) for folder in readable if folder))
        trial = IsolatedCheck("package", lambda: package_check.findings(files), walls)
        told = trial.answer(patience_s)
    except (ArchiveError, UnpackingError) as error:
        return PackageFindings(problems=(FieldError("package", str(error)),))
    finally:
        packages.close()
        shutil.rmtree(scratch, ignore_errors=True)
    if isinstance(told, FieldError):
        return PackageFindings(problems=(told,))
    try:
        found = shown_findings(msgspec.json.decode(told, type=PackageFindings))
    except msgspec.DecodeError as error:
        text = shown(f"its check was tampered with: {error}")
        return PackageFindings(problems=(FieldError("package", text),))
    lacking = KernelLocks.offered().missing_walls
    return msgspec.structs.replace(found, notes=(*found.notes, *lacking))


def _unmet(files: Mapping[str, bytes], wheels: Sequence[OpenWheel]) -> tuple[FieldError, ...]:
    try:
        return tuple(requirement_problems(files, wheels, python_here()))
    except Exception as error:  # noqa: BLE001 - libraries read what anybody may have written
        return (FieldError("package", f"its requirements cannot be read: {type(error).__name__}: {error}"),)


def _judging[T](
    judge: Callable[[str, T], list[FieldError]], index: int, item: T
) -> Callable[[], list[FieldError]]:
    return lambda: judge(f"strategies[{index}]", item)


def answer_to(check: CheckLine, following: BinaryIO) -> Answer:
    """What the line asks for. `following` has the wheels that it names."""
    if check.is_python:
        return python_here()
    wheels = WheelFolders(WHEELS_FOLDER.given())
    try:
        if check.is_package:
            return package_of(
                check,
                wheels=wheels,
                opened=lambda: [_taken(wheels, each, following) for each in check.wheels],
            )
        for each in check.wheels:
            wheels.unpack(each, following.read(each.size_bytes))
        return problems_of(check, wheels=wheels)
    except (ArchiveError, OSError) as error:
        problem = FieldError("package" if check.is_package else "packages", str(error))
        return (PackageFindings if check.is_package else PlanProblems)(problems=(problem,))
    finally:
        wheels.close()


def _taken(wheels: WheelFolders, wheel: Wheel, following: BinaryIO) -> OpenWheel:
    data = following.read(wheel.size_bytes)
    wheels.unpack(wheel, data)
    return OpenWheel(data, wheel.file)


def main() -> int:
    """Reads, checks, answers. While nobody asks yet, what checks need is imported."""
    if not select.select([sys.stdin], [], [], 0)[0]:
        from flotilla.engine_sidecar.checking import imported  # noqa: F401, PLC0415 - a second
    line = sys.stdin.buffer.readline(MAX_BYTES + 1)
    try:
        check = msgspec.json.decode(line, type=CheckLine)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        sys.stderr.write(f"the check cannot be read: {error}\n")
        return 78
    answer = answer_to(check, sys.stdin.buffer)
    sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
