"""`flotilla` and `python -m flotilla`: started again by an isolated Python, so that no module of the current folder or on PYTHONPATH
is taken for ours."""

import os
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Runs the command line."""
    if not sys.flags.isolated:
        os.execv(sys.executable, [sys.executable, "-I", "-m", "flotilla", *sys.argv[1:]])  # noqa: S606
    import flotilla.bus.lean  # noqa: F401, PLC0415
    from flotilla.cli.main import main as command_line  # noqa: PLC0415 - with the path that it shall have

    command_line()


if __name__ == "__main__":
    main()
