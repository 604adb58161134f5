"""`python -m flotilla.engine_sidecar`: starts the zygote before anything else, hides, then lives one session."""

import os
import sys
from collections.abc import Sequence

from flotilla.engine_sidecar.process.spawn import spawn_zygote


def main(zygote: Sequence[str] = (sys.executable, "-m", "flotilla.engine_sidecar.fork.zygote")) -> int:
    """The exit code of the session; `zygote` is the program to fork engines from."""
    spawned = spawn_zygote(zygote)
    from flotilla.engine_sidecar.confinement.system_calls import hide_memory  # noqa: PLC0415  the zygote does not wait for that

    # Before the launch line is read, and long before there is anybody to hide from.
    hide_memory()
    import flotilla.bus.lean  # noqa: F401, PLC0415
    from flotilla.engine_sidecar.sidecar import run  # noqa: PLC0415  the zygote is importing meanwhile

    return run(spawned)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # All is told and closed by now. Others wait for our end, and not for Python to take itself apart.
    os._exit(code)
