"""What kind of change lies between two states of code: in what it does, or in comments, docstrings and formatting alone. Pure."""

import ast
import hashlib
import warnings
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

FileChange: TypeAlias = Literal["added", "removed", "code", "comments", "content"]
"""`code` and `comments` are of Python files, `content` is of any other. What cannot be told is `code`."""

LARGEST_BYTES: Final = 256 << 10
"""Of a Python file that is looked into: a larger one is another when its bytes are."""
MOST_BYTES: Final = 2 << 20
"""Of all Python files that are looked into at once, both states of each."""

_COMPARED: Final = "<compared>"


def ignore_warnings() -> None:
    """Has what Python warns of in sources that are only compared not be printed, in the whole process: called where one starts."""
    warnings.filterwarnings("ignore", category=SyntaxWarning, module=_COMPARED)


def changed_files(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> dict[str, FileChange]:
    """Every file that is not the same in both, by name, with what is different."""
    found: dict[str, FileChange] = {}
    looked_into = 0
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old is None or new is None:
            found[name] = "added" if old is None else "removed"
        elif old != new:
            if not name.endswith(".py"):
                found[name] = "content"
                continue
            looked_into += len(old) + len(new)
            found[name] = _change(old, new) if looked_into <= MOST_BYTES else "code"
    return found


def is_same_code(changes: Mapping[str, FileChange]) -> bool:
    """True when nothing but comments, docstrings and formatting is different."""
    return all(change == "comments" for change in changes.values())


def code_digest(source: bytes) -> str:
    """The SHA-256 of what Python reads in a source: comments, docstrings and formatting do not count. Empty where that cannot be told.

    It is of one release of Python: another may read the same source otherwise.
    """
    shape = _shape(source)
    return hashlib.sha256(shape.encode()).hexdigest() if shape is not None else ""


def _change(old: bytes, new: bytes) -> FileChange:
    shape = _shape(old)
    return "comments" if shape is not None and shape == _shape(new) else "code"


def _shape(source: bytes) -> str | None:
    """The source as Python reads it, without docstrings and places; None for what is too large, or no Python."""
    if len(source) > LARGEST_BYTES:
        return None
    try:
        tree = ast.parse(source, _COMPARED)
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                _drop_docstring(node)
        return ast.dump(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _drop_docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> None:
    first = node.body[0] if node.body else None
    value = first.value if isinstance(first, ast.Expr) else None
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        del node.body[0]
