"""The checkout as a fresh clone has it."""

import shutil
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
_NOT_CLONED: Final = (
    ".git",
    ".venv",
    ".tools",
    ".*cache",
    ".hypothesis",
    "node_modules",
    ".state",
    "__pycache__",
)


def clone_into(folder: Path) -> None:
    """Makes `folder` and puts into it what is in the checkout, but for what its tools have made there."""
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*_NOT_CLONED), symlinks=True)
