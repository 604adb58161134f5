"""`flotilla up` whose services live under libfaketime: run by its path, with flotilla's arguments.

FLOTILLA_STEPPED_<NAME> is <NAME> in their environment. The servers, which are not ours, keep the true time.
"""

import os
from collections.abc import Mapping

from flotilla.cli.main import main
from flotilla.stack import services
from flotilla.state import environment

PREFIX = "FLOTILLA_STEPPED_"


def of_program(env: Mapping[str, str] = os.environ) -> dict[str, str]:
    stepped = {name.removeprefix(PREFIX): text for name, text in env.items() if name.startswith(PREFIX)}
    return {**environment.of_program(env), **stepped}


if __name__ == "__main__":
    vars(services)["of_program"] = of_program
    main()
