"""What packages ask for besides, and whether what engines have and a set of wheels meet it. Pure."""

import tomllib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from flotilla.schemas.fault import FieldError
from flotilla.schemas.package import EnginePython
from flotilla.schemas.wheel_archive import OpenWheel

PROJECT: Final = "pyproject.toml"
REQUIREMENTS: Final = "requirements.txt"


class Asked(NamedTuple):
    """A requirement, and who has it: a file of the package, or a wheel."""

    by: str
    requirement: Requirement


class Settled(NamedTuple):
    """The names of the wheels that are needed, what nothing there meets, and what never can be met."""

    used: frozenset[str]
    missing: tuple[Asked, ...]
    problems: tuple[FieldError, ...]


def requirements_of(files: Mapping[str, bytes]) -> tuple[tuple[Asked, ...], tuple[FieldError, ...]]:
    """What `pyproject.toml` and `requirements.txt` ask for, and what in them is no requirement."""
    asked: list[Asked] = []
    problems: list[FieldError] = []
    for file, text in _texts(files):
        if isinstance(text, FieldError):
            problems.append(text)
            continue
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            said = f"{text!r} is no requirement such as numpy>=2; options and paths are not taken"
            problems.append(FieldError(file, said))
            continue
        if requirement.url:
            said = f"{text!r} names an address: engines take wheels by name and version"
            problems.append(FieldError(file, said))
            continue
        asked.append(Asked(file, requirement))
    return tuple(asked), tuple(problems)


def settled(asked: Sequence[Asked], wheels: Mapping[str, OpenWheel], python: EnginePython) -> Settled:
    """Follows requirements from what is asked for to the wheels there are, by normalized name, and what engines have."""
    used: dict[str, set[str]] = {}
    missing: list[Asked] = []
    problems: list[FieldError] = []
    queue = deque(_counting(asked, "", python, problems))
    while queue:
        one = queue.popleft()
        name = canonicalize_name(one.requirement.name)
        if (there := python.installed.get(name)) is not None:
            problems += _held_against(one, there)
        elif (wheel := wheels.get(name)) is None:
            missing.append(one)
        elif (problem := _refusal(one, wheel, python)) is not None:
            problems.append(problem)
        else:
            queue += _next(used, one.requirement, wheel, python, problems)
    return Settled(frozenset(used), tuple(dict.fromkeys(missing)), tuple(dict.fromkeys(problems)))


def _next(
    used: dict[str, set[str]],
    by: Requirement,
    wheel: OpenWheel,
    python: EnginePython,
    problems: list[FieldError],
) -> Iterator[Asked]:
    """What a wheel asks for that has not been followed yet: with each extra there is more."""
    before = used.setdefault(wheel.name, set())
    wanted = {canonicalize_name(each) for each in by.extras} | {""}
    asked = [Asked(f"{wheel.name} {wheel.version}", each) for each in wheel.requires]
    for extra in sorted(wanted - before):
        yield from _counting(asked, extra, python, problems)
    before |= wanted


def _counting(
    asked: Sequence[Asked], extra: str, python: EnginePython, problems: list[FieldError]
) -> Iterator[Asked]:
    """Those whose markers are true of engines; one that cannot be judged is a problem."""
    for each in asked:
        try:
            if _counts(each.requirement, extra, python):
                yield each
        except ValueError as error:  # which all of what `packaging` raises is
            text = f"{each.requirement}: its marker cannot be judged: {error}"
            problems.append(FieldError(each.by, text))


def _counts(requirement: Requirement, extra: str, python: EnginePython) -> bool:
    if requirement.marker is None:
        return not extra
    return requirement.marker.evaluate({**python.environment, "extra": extra})


def _held_against(one: Asked, there: str) -> list[FieldError]:
    name = canonicalize_name(one.requirement.name)
    if not one.requirement.specifier.contains(Version(there), prereleases=True):
        text = f"{one.requirement} is asked for, and engines have {name} {there}: a package replaces nothing of theirs"
        return [FieldError(one.by, text)]
    if one.requirement.extras:
        text = (
            f"{one.requirement} is asked for: engines have {name} {there}, and extras are not added to what they have: name "
            "what the extra brings instead"
        )
        return [FieldError(one.by, text)]
    return []


def _refusal(one: Asked, wheel: OpenWheel, python: EnginePython) -> FieldError | None:
    label = f"{wheel.name} {wheel.version}"
    if not one.requirement.specifier.contains(wheel.version, prereleases=True):
        return FieldError(one.by, f"{one.requirement} is asked for, and the wheel there is of {label}")
    version = python.environment.get("python_full_version", "")
    if not wheel.python.contains(version, prereleases=True):
        return FieldError(one.by, f"{label} needs Python {wheel.python}, and engines have {version}")
    for extra in one.requirement.extras:
        if canonicalize_name(extra) not in wheel.extras:
            return FieldError(one.by, f"{one.requirement} is asked for, and {label} has no extra {extra}")
    return None


def _texts(files: Mapping[str, bytes]) -> Iterator[tuple[str, str | FieldError]]:
    if (project := files.get(PROJECT)) is not None:
        try:
            read = tomllib.loads(project.decode())
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
            yield PROJECT, FieldError(PROJECT, f"it cannot be read: {error}")
            return
        yield from ((PROJECT, text) for text in _dependencies(read.get("project", {})))
    for line in files.get(REQUIREMENTS, b"").decode(errors="replace").splitlines():
        if text := line.partition("#")[0].strip():
            yield REQUIREMENTS, text


def _dependencies(project: Any) -> list[str] | list[FieldError]:
    if not isinstance(project, dict):
        return [FieldError(PROJECT, "`project` is no table: write [project]")]
    found = project.get("dependencies", [])
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        return [
            FieldError(
                PROJECT, '`project.dependencies` is no list of texts: write dependencies = ["numpy>=2"]'
            )
        ]
    return found
