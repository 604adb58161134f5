"""A supervisor for killing: makes a runtime of the arguments, says `go`, does one thing, says `done`, and sleeps."""

import asyncio
import sys
from concurrent.futures import Future
from pathlib import Path

import msgspec

from flotilla.schemas.session import SessionSpec
from flotilla.services.supervisor.ports import ContainerRuntime
from tests.fakes.supervised import DockerBench, ProcessBench

LINE = b'{"creds":"SECRET-OF-THE-LAUNCH-LINE","exit":42}\n'


def runtime_of(kind: str, owner: str, *rest: str) -> ContainerRuntime:
    if kind == "process":
        root, script = rest
        return ProcessBench(Path(root)).runtime(script, check=script)
    image, network, script = rest
    return DockerBench(image, network=network, owner=owner).runtime(script, check=script)


async def main(verb: str, body: str, *arguments: str) -> None:
    runtime = runtime_of(*arguments)
    await runtime.probe()
    print("go", flush=True)
    if verb == "ensure":
        await runtime.ensure(msgspec.json.decode(body, type=SessionSpec, strict=False), LINE)
    elif verb == "check":
        await runtime.check(LINE, timeout_s=float(body))
    elif verb == "wait":
        await runtime.check_when_asked(Future())
    else:
        await runtime.stop(body, timeout_s=2.0)
    print("done", flush=True)
    await asyncio.sleep(3600)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
