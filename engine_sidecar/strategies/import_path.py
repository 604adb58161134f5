"""Where people keep modules of their own strategies, for processes that run on this machine and not in an image."""

import os
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

from flotilla.schemas.environment import STRATEGY_PATH


def named_folders(env: Mapping[str, str] = os.environ) -> list[str]:
    """The folders that FLOTILLA_STRATEGY_PATH names."""
    return [os.path.abspath(folder) for folder in STRATEGY_PATH.given(env) or ()]


def extend_path(env: Mapping[str, str] = os.environ) -> None:
    """Has modules looked for in the folders that FLOTILLA_STRATEGY_PATH names, separated as in PATH: behind Python's own.

    They come before other installed packages, of which some bring a package `tests` or `examples`, and before a checkout of ours,
    whose folders have names as well. Call it once what we need is imported.
    """
    theirs = named_folders(env)
    if not theirs:
        return
    ours, installed = str(Path(__file__).parents[3]), sysconfig.get_paths()["purelib"]
    others = [path for path in sys.path if path not in (ours, *theirs)]
    first = others.index(installed) if installed in others else len(others)
    sys.path[:] = [*others[:first], *theirs, ours, *others[first:]]
