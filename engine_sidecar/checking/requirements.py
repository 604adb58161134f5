"""What a package asks for besides: what an engine has, and the wheels that came with it, or nothing."""

from collections.abc import Mapping, Sequence
from importlib.metadata import distributions

from packaging.markers import default_environment
from packaging.tags import sys_tags
from packaging.utils import canonicalize_name

from flotilla.schemas.fault import FieldError
from flotilla.schemas.package import EnginePython
from flotilla.schemas.requirement import requirements_of, settled
from flotilla.schemas.wheel import WHEELS_FILE
from flotilla.schemas.wheel_archive import OpenWheel, too_many_files


def python_here() -> EnginePython:
    """What packages find in this process."""
    found: dict[str, str] = {}
    for each in distributions():
        # The first on the path is what an import finds.
        found.setdefault(canonicalize_name(each.name), each.version)
    environment = {name: str(value) for name, value in default_environment().items()}
    return EnginePython(environment=environment, tags=tuple(map(str, sys_tags())), installed=found)


def requirement_problems(
    files: Mapping[str, bytes], wheels: Sequence[OpenWheel], python: EnginePython
) -> list[FieldError]:
    """The requirements of `pyproject.toml` and `requirements.txt` that are not met, and what is wrong with the wheels there are."""
    asked, problems = requirements_of(files)
    found = settled(asked, {wheel.name: wheel for wheel in wheels}, python)
    missing = [FieldError(each.by, _missing(str(each.requirement), python)) for each in found.missing]
    if text := too_many_files(wheels):
        return [FieldError(WHEELS_FILE, text)]
    if wrong := [*problems, *found.problems, *missing]:
        return wrong
    return [FieldError(WHEELS_FILE, text) for each in wheels if (text := _needless(each, found.used, python))]


def _missing(requirement: str, python: EnginePython) -> str:
    return (
        f"{requirement} is asked for, and is neither what engines have ({python.label}) nor among the wheels that came with the package: "
        "`flotilla package push` brings those, and a push over REST brings none"
    )


def _needless(wheel: OpenWheel, used: frozenset[str], python: EnginePython) -> str | None:
    if (there := python.installed.get(wheel.name)) is not None:
        return f"{wheel.file}: engines have {wheel.name} {there}, and a wheel replaces nothing of theirs"
    return None if wheel.name in used else f"{wheel.file}: nothing asks for it"
