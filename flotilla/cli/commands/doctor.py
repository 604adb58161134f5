"""`flotilla doctor`."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
from rich.console import Group, RenderableType
from rich.text import Text

from flotilla.cli.options import Options, common, pass_options
from flotilla.stack.checks import (
    NEWER_KERNEL,
    Check,
    Level,
    all_checks,
    check_kernel,
    check_python,
    check_services_packages,
)
from flotilla.stack.runtime import DockerAnswer, ask_docker
from flotilla.stack.stack import HTTP_PORT
from flotilla.state.exits import Exit

WITHOUT_DOCKER: Final = (
    "mend that, or go on without: engines then run as local processes, not isolated, and none trades live"
)
NO_PROFILE: Final = "the Docker engine keeps containers to no seccomp profile: engines run without one"
_STYLES: Final = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold red"}


@click.command()
@click.option("--port", type=click.IntRange(1, 65_535), default=HTTP_PORT, show_default=True)
@common
@pass_options
def doctor(options: Options, *, port: int) -> int:
    """Check what this machine has, what it lacks, and say how to mend it. Exits with 1 when something has to be mended."""
    checks = [*all_checks(options.folder, port), check_kernel(), *docker_checks(_docker(options.folder.root))]
    failed = [check for check in checks if check.level == Level.FAIL]
    options.output.document({"ok": not failed, "checks": checks}, lambda: _shown(checks))
    return Exit.FAILED if failed else Exit.OK


def _docker(state: Path) -> DockerAnswer:
    """What the services find, where they can be run."""
    if any(check().level != Level.OK for check in (check_python, check_services_packages)):
        return DockerAnswer(docker=False, detail="not looked for: it is the services that ask it")
    return asyncio.run(ask_docker(state, look_only=True))


def docker_checks(answer: DockerAnswer) -> Iterator[Check]:
    """Docker is worth a warning only: without it engines run as local processes."""
    if not answer.docker:
        yield Check("docker", Level.WARN, answer.detail, WITHOUT_DOCKER)
        return
    network = f"engines' network at {answer.gateway}" if answer.gateway else "`flotilla up` makes the network"
    yield Check("docker", Level.OK, f"engine answers; {network}")
    if not answer.seccomp:
        yield Check("docker seccomp", Level.WARN, NO_PROFILE, NEWER_KERNEL)
    if answer.image:
        yield Check("engine image", Level.OK, answer.detail)
    else:
        yield Check("engine image", Level.WARN, answer.detail, "run deploy/build-engine.sh")


def _shown(checks: list[Check]) -> RenderableType:
    lines: list[Text] = []
    for check in checks:
        lines.append(
            Text.assemble((f"{check.level:<5}", _STYLES[check.level]), f"{check.name:<16}", check.found)
        )
        if check.remedy:
            lines.append(Text.assemble(" " * 5, ("→ ", "dim"), check.remedy))
    counts = Counter(check.level for check in checks)
    lines.append(Text("\n" + ", ".join(f"{counts[level]} {level}" for level in Level)))
    return Group(*lines)
