"""What engines will run in. Only the supervisor knows Docker, so its own preparation is asked."""

from pathlib import Path
from typing import Final

import msgspec

from flotilla.show.progress import Narrator
from flotilla.stack.servers.ports import is_free
from flotilla.state.environment import of_program
from flotilla.state.errors import ProgramFailedError, StackError
from flotilla.state.folder import owner_of
from flotilla.state.programs import output, python

DOCKER: Final = "docker"
PROCESS: Final = "process"
_PREPARE: Final = "flotilla.services.supervisor.prepare"


class Runtime(msgspec.Struct, frozen=True, kw_only=True):
    """`kind` is docker or process; `bus_host` is the address of this machine on which engines find the bus.

    `networks` are the variables by which the supervisor knows the fleet's own Docker networks.
    """

    kind: str
    bus_host: str = "127.0.0.1"
    networks: dict[str, str] = {}


class DockerAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What the supervisor's preparation prints: whether Docker and the engines' image are there, and the networks of this fleet.

    `seccomp`: the Docker engine keeps containers to a profile of system calls.
    """

    docker: bool
    detail: str
    image: bool = False
    gateway: str = ""
    network: str = ""
    network_subnet: str = ""
    egress_network: str = ""
    egress_subnet: str = ""
    seccomp: bool = True

    @property
    def networks(self) -> dict[str, str]:
        """The variables that name them."""
        return {
            "FLOTILLA_NETWORK": self.network,
            "FLOTILLA_NETWORK_SUBNET": self.network_subnet,
            "FLOTILLA_EGRESS_NETWORK": self.egress_network,
            "FLOTILLA_EGRESS_SUBNET": self.egress_subnet,
        }


async def choose_runtime(wanted: str, state: Path, narrator: Narrator) -> Runtime:
    """Docker when it is wanted, or when `auto` finds that engines can run there; else local processes, and that is said.

    Raises StackError when Docker is wanted and cannot be had.
    """
    if wanted == PROCESS:
        narrator.warn("engines run as local processes, NOT ISOLATED, as you chose")
        return Runtime(kind=PROCESS)
    answer = await ask_docker(state)
    if (problem := _problem(answer)) is None:
        narrator.say(f"engines run in Docker containers and find the bus at {answer.gateway}")
        return Runtime(kind=DOCKER, bus_host=answer.gateway, networks=answer.networks)
    if answer.docker:
        await remove_networks(state, narrator)  # which were made, and nobody is on them
    if wanted == DOCKER:
        raise StackError(
            f"engines cannot run in Docker: {problem}", "see `flotilla doctor`, or use --runtime process"
        )
    narrator.warn(f"engines run as local processes, NOT ISOLATED: {problem}")
    return Runtime(kind=PROCESS)


async def remove_networks(state: Path, narrator: Narrator) -> None:
    """Removes the fleet's Docker networks, but for those that containers are still on. Says so when it cannot."""
    try:
        await output(python("-m", _PREPARE, "--remove"), env=_env(state))
    except ProgramFailedError as error:
        narrator.warn(f"the engines' networks are left: {error}")


async def ask_docker(state: Path, *, look_only: bool = False) -> DockerAnswer:
    """What can be done with Docker here. Makes the engines' network where there is none, unless it is to `look_only`."""
    look = ("--look",) if look_only else ()
    try:
        text = await output(python("-m", _PREPARE, *look), env=_env(state))
    except ProgramFailedError as error:
        return DockerAnswer(docker=False, detail=str(error))
    return msgspec.json.decode(text, type=DockerAnswer)


def _env(state: Path) -> dict[str, str]:
    return {**of_program(), "FLOTILLA_STATE": str(state), "FLOTILLA_OWNER": owner_of(state)}


def _problem(answer: DockerAnswer) -> str | None:
    if not (answer.docker and answer.image):
        return answer.detail
    if not is_free(answer.gateway, 0):
        return f"the Docker engine is not on this machine: its address {answer.gateway} is not ours"
    return None
