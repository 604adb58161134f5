"""Runs pip, which finds the wheels that a package needs: the newest that agree with each other, and with what engines have."""

import asyncio
import base64
import hashlib
import os
import re
import signal
import sys
import zipfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from flotilla.schemas.fault import FaultCode, FaultError, FieldError, fault, invalid
from flotilla.schemas.package import EnginePython

RESOLVE_S: Final = 300.0
"""For all that is asked of an index, and all that it sends."""
_SILENCE_S: Final = 15
_RETRIES: Final = 1
_LABEL: Final = "engines"
"""The local version of stand-ins for what engines have: nobody's index has it, so that pip takes nothing else for them."""
_MOST_LINES: Final = 12
_AWAY: Final = re.compile(
    r"(?:connection broken by '?|Could not fetch URL \S+: |ERROR: HTTP error |ERROR: \w*(?:Timeout|Connection)\w*: ).*",
)
_NO_WHEEL: Final = re.compile(r"No matching distribution found for (.+)")
_ENGINES: Final = re.compile(rf"The user requested \(constraint\) (\S+)==(\S+?)[+.]{_LABEL}")
_STAND_IN: Final = re.compile(rf"[+.]{_LABEL}\b")
_STAND_IN_FILE: Final = re.compile(rf"\+([^-]*\.)?{_LABEL}-py3-none-any\.whl$")


async def download(
    requirements: Iterable[str],
    python: EnginePython,
    into: Path,
    wheels: Path | None,
    until: float,
) -> list[Path]:
    """Wheels that meet the requirements where engines run, from the user's own index, or from the folder `wheels` alone, an absolute path.

    Raises FaultError: `invalid` naming a requirement that no wheel meets, `unavailable` where the index is out of reach; TimeoutError at
    `until`, in seconds of the loop's clock.
    """
    asked = list(requirements)
    found, stand_ins = into / "found", into / "engines"
    found.mkdir(parents=True)
    stand_ins.mkdir()
    _write_stand_ins(python, stand_ins)
    (into / "requirements.txt").write_text("".join(f"{each}\n" for each in asked))
    (into / "constraints.txt").write_text(
        "".join(f"{name}=={_labelled(version)}\n" for name, version in python.installed.items())
    )
    command = [*_command(into, python), *(("--no-index", "--find-links", str(wheels)) if wheels else ())]
    code, said = await _run(command, into, _environment(alone=wheels is not None), until)
    if code:
        raise _refusal(asked, said, python, wheels)
    return sorted(path for path in found.iterdir() if not _STAND_IN_FILE.search(path.name))


def _command(into: Path, python: EnginePython) -> list[str]:
    own = python.tags[0].partition("-")[0]
    tags = [tag.split("-") for tag in python.tags]
    abis = dict.fromkeys([*(abi for interpreter, abi, _ in tags if interpreter == own), "none"])
    platforms = dict.fromkeys(platform for _, _, platform in tags if platform != "any")
    return [
        # Of this Python, and none of what its user has set for it.
        *(sys.executable, "-I", "-m", "pip", "download", "--disable-pip-version-check", "--no-input"),
        *("--no-color", "--progress-bar", "off", "--only-binary", ":all:"),
        *("--timeout", str(_SILENCE_S), "--retries", str(_RETRIES)),
        *("--implementation", own[:2], "--python-version", python.environment["python_version"]),
        *(part for abi in abis for part in ("--abi", abi)),
        *(part for platform in platforms for part in ("--platform", platform)),
        *("--find-links", str(into / "engines"), "--constraint", str(into / "constraints.txt")),
        *("--dest", str(into / "found"), "--requirement", str(into / "requirements.txt")),
    ]


def _environment(*, alone: bool) -> dict[str, str]:
    """As the user has it, with his index; or without any, so that none is asked."""
    if not alone:
        return dict(os.environ)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    return {**kept, "PIP_CONFIG_FILE": os.devnull}


async def _run(
    command: list[str], folder: Path, environment: Mapping[str, str], until: float
) -> tuple[int | None, str]:
    """Its exit code, and what it said."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=dict(environment),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout_at(until):
            said, _ = await process.communicate()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    return process.returncode, said.decode(errors="replace")


def _refusal(asked: list[str], said: str, python: EnginePython, wheels: Path | None) -> FaultError:
    """What pip's words mean for who wrote the requirements."""
    if "No module named pip" in said:
        text = (
            f"{', '.join(asked)}: pip finds the wheels that a package needs, and {sys.executable} has none: install flotilla[wheels], "
            "or pip beside it"
        )
        return fault(FaultCode.UNAVAILABLE, text)
    lines = [line.removeprefix("ERROR: ").strip() for line in said.splitlines()]
    away = [match.group().rstrip("': ") for line in said.splitlines() if (match := _AWAY.search(line))]
    if "ResolutionImpossible" in said or "conflicting dependencies" in said:
        return invalid(FieldError("requirements", _conflict(lines)))
    if away:
        return out_of_reach(asked, away[-1])
    for line in lines:
        if match := _NO_WHEEL.search(line):
            where = f"in {wheels}" if wheels else "in the package index"
            text = (
                f"there is no wheel of {_plain(match.group(1))} for {python.label} {where}; what comes as source only is not "
                "built, since building runs its code"
            )
            return invalid(FieldError("requirements", text))
    last = "; ".join([line for line in lines if line][-3:])
    text = f"{', '.join(asked)}: pip finds no wheels: {last[:600]}"
    return invalid(FieldError("requirements", text))


def out_of_reach(asked: Iterable[str], why: str) -> FaultError:
    """What is said of an index that is away, or takes too long."""
    text = (
        f"{', '.join(asked)}: the package index is out of reach: {why[:400]}. Without an index: put the wheels into a folder, "
        "and name it by --wheels FOLDER"
    )
    return fault(FaultCode.UNAVAILABLE, text)


def _conflict(lines: list[str]) -> str:
    """What pip says that cannot be had together, in one line."""
    causes = [
        _plain(_ENGINES.sub(r"engines have \1 \2", line))
        for line in lines
        if " depends on " in line or line.startswith("The user requested")
    ]
    first = [_plain(line) for line in lines if line.startswith("Cannot install") and " -r " not in line]
    return "; ".join([*first[:1], *dict.fromkeys(causes[:_MOST_LINES])])


def _plain(text: str) -> str:
    return _STAND_IN.sub("", text).strip()


def _labelled(version: str) -> str:
    return f"{version}{'.' if '+' in version else '+'}{_LABEL}"


def _write_stand_ins(python: EnginePython, folder: Path) -> None:
    """Empty wheels of what engines have, which ask for nothing: no index need have it, and nothing of it is downloaded."""
    for name, there in python.installed.items():
        version = _labelled(there)
        stem = f"{name.replace('-', '_')}-{version}"
        files = {
            "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            "WHEEL": "Wheel-Version: 1.0\nGenerator: flotilla\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        rows = [f"{stem}.dist-info/{file},sha256={_hash(text)},{len(text)}" for file, text in files.items()]
        with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as made:
            for file, text in files.items():
                made.writestr(f"{stem}.dist-info/{file}", text)
            made.writestr(f"{stem}.dist-info/RECORD", "\n".join([*rows, f"{stem}.dist-info/RECORD,,", ""]))


def _hash(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
