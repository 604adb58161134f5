"""Where people keep modules of their own strategies, for processes that run on this machine and not in an image."""

import os
import sys
from collections.abc import Mapping
from typing import Final

VARIABLE: Final = "FLOTILLA_STRATEGY_PATH"


def extend_path(env: Mapping[str, str] = os.environ) -> None:
    """Puts the folders that FLOTILLA_STRATEGY_PATH names, parted as in PATH, behind all others: none of them hides a module of ours."""
    for folder in env.get(VARIABLE, "").split(os.pathsep):
        if folder and (path := os.path.abspath(folder)) not in sys.path:
            sys.path.append(path)
