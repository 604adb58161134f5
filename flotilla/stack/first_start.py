"""What a new state folder gets once: the administrator's token and the sample data."""

from contextlib import aclosing
from typing import Any

import msgspec

from flotilla.show.progress import Narrator
from flotilla.state.errors import ProgramFailedError, StackError
from flotilla.state.folder import StateFolder
from flotilla.state.private_file import write_private
from flotilla.state.programs import output, output_lines, python


async def ensure_token(folder: StateFolder) -> None:
    """Makes the administrator's token, and writes it where only its owner can read it."""
    if folder.token_file.exists() and folder.digests_file.exists():
        return
    text = await output(
        python("-m", "flotilla.services.gateway.web.tokens", str(folder.digests_file), "admin", "admin")
    )
    write_private(folder.token_file, text.encode())


async def ensure_sample_data(folder: StateFolder, lock_fd: int, narrator: Narrator) -> None:
    """Imports the sample data, unless that was done once. Raises StackError."""
    done = folder.catalog / ".sample"
    if done.exists():
        return
    narrator.say("importing the sample data (first start only)")
    argv = python(
        "-m",
        "flotilla.engine_sidecar.catalog",
        "import",
        "--sample",
        "--json",
        "--catalog",
        str(folder.catalog),
    )
    last: dict[str, Any] = {}
    try:
        async with aclosing(output_lines(argv, keeps=(lock_fd,))) as lines:
            async for line in lines:
                last = msgspec.json.decode(line)
                if last.get("event") == "imported":
                    narrator.say(f"imported {last['rows']:,} {last['data_type']} of {last['identifier']}")
    except ProgramFailedError as error:
        why = last.get("message") or str(error)
        raise StackError(f"the sample data could not be imported: {why}", "see `flotilla doctor`") from None
    done.touch()
