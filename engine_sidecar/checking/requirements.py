"""What a package asks for besides: taken where an engine has it already, refused by name otherwise."""

import tomllib
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from flotilla.schemas.fault import FieldError

_REMEDY = (
    "engines have only what comes with NautilusTrader, and installing more for a package is not supported: "
    "put the code into the package, or do without"
)


def requirement_problems(files: Mapping[str, bytes]) -> list[FieldError]:
    """The requirements of `pyproject.toml` and `requirements.txt` that are not met here."""
    return [
        FieldError(file, problem)
        for file, text in _requirements(files)
        if (problem := _problem(text)) is not None
    ]


def _requirements(files: Mapping[str, bytes]) -> Iterator[tuple[str, str]]:
    if (project := files.get("pyproject.toml")) is not None:
        try:
            read = tomllib.loads(project.decode())
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            yield "pyproject.toml", f"!it cannot be read: {error}"
            return
        yield from (("pyproject.toml", text) for text in _dependencies(read.get("project", {})))
    for line in files.get("requirements.txt", b"").decode(errors="replace").splitlines():
        if text := line.partition("#")[0].strip():
            yield "requirements.txt", text


def _dependencies(project: Any) -> list[str]:
    if not isinstance(project, dict):
        return ["!`project` is no table: write [project]"]
    found = project.get("dependencies", [])
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        return ['!`project.dependencies` is no list of texts: write dependencies = ["numpy>=2"]']
    return found


def _problem(text: str) -> str | None:
    if text.startswith("!"):
        return text[1:]
    try:
        asked = Requirement(text)
    except InvalidRequirement:
        return f"{text!r} is no requirement such as numpy>=2; options and paths are not taken"
    if asked.marker is not None and not asked.marker.evaluate():
        return None
    try:
        there = version(asked.name)
    except PackageNotFoundError:
        return f"{asked.name} is not installed in engines: {_REMEDY}"
    if asked.url or not asked.specifier.contains(there, prereleases=True):
        return f"{text} is asked for, and engines have {asked.name} {there}: {_REMEDY}"
    return None
