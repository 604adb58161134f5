"""What an engine is about to trade money with: which code, who pushed it, and what is different from what it ran live last."""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.text import Text

from flotilla.schemas.code_changes import LARGEST_BYTES
from flotilla.schemas.engine import StartReview
from flotilla.schemas.package import PackageChange, ParameterChange, ReviewedPackage
from flotilla.show.formats import moment

_MOST_LINES: Final = 80
_MOST_FILES: Final = 20
_LONGEST_FILE: Final = 5_000
"""Lines of a file that is compared line by line, which takes more than twice as long for twice as many."""
_LONGEST_LINE: Final = 400
_WORDS: Final = {
    "added": "added",
    "removed": "removed",
    "code": "changed",
    "comments": "changed in comments and formatting only",
    "content": "changed",
}
_COLOURS: Final = {"+": "green", "-": "red", "@": "cyan"}


def start_review(review: StartReview, diffs: Mapping[str, Sequence[str]]) -> RenderableType:
    """The packages that would be run; `diffs` are the lines of a unified diff for each, by name."""
    lines = [Text(f"engine {review.instance_id} will TRADE MONEY with", style="bold")]
    for each in review.packages:
        lines += [Text(), *_package(each, review), *_diff(diffs.get(each.package.name, ()))]
    for gone in review.gone:
        lines.append(Text(f"not run any more: {gone.label} (digest {gone.digest[:12]})", style="yellow"))
    return Group(*lines)


def diff_of(before: Mapping[str, bytes], after: Mapping[str, bytes], changes: Mapping[str, str]) -> list[str]:
    """The lines of a unified diff of the Python files that are named, no more than are shown and one; of what is large, or no such file, that
    it differs.
    """
    differences = (
        line for name in changes for line in _difference(name, before.get(name, b""), after.get(name, b""))
    )
    return [_printable(line) for line in islice(differences, _MOST_LINES + 1)]


def _difference(name: str, old: bytes, new: bytes) -> Iterator[str]:
    if old == new:
        return  # an empty file came or went
    if not name.endswith(".py") or max(len(old), len(new)) > LARGEST_BYTES:
        yield f"{name} differs"
        return
    try:
        then, now = old.decode().splitlines(), new.decode().splitlines()
    except UnicodeDecodeError:
        yield f"{name} differs, and is no text"
        return
    if max(len(then), len(now)) > _LONGEST_FILE:
        yield f"{name} differs, and has more than {_LONGEST_FILE} lines"
    elif then == now:
        yield f"{name} differs in how lines end"
    else:
        yield from difflib.unified_diff(then, now, f"then/{name}", f"now/{name}", n=2, lineterm="")


def _package(one: ReviewedPackage, review: StartReview) -> Iterator[Text]:
    yield Text(one.package.label, style="bold")
    yield Text(f"  digest  {one.package.digest}")
    if one.pushed_at is not None:
        yield Text(f"  pushed  {moment(one.pushed_at)} by {one.pushed_by or 'somebody'}")
    if review.ran_live is None:
        yield Text("  before  this engine has never traded money", style="yellow")
    elif one.last is None:
        yield Text(
            f"  before  not run by session {review.ran_live}, the last that traded money", style="yellow"
        )
    elif one.last.digest == one.package.digest:
        yield Text(f"  before  the same, as {one.last.label} in session {review.ran_live}")
    else:
        yield Text(f"  before  {one.last.label} (digest {one.last.digest[:12]}), session {review.ran_live}")
        yield from _changed(one, one.change)


def _changed(one: ReviewedPackage, change: PackageChange | None) -> Iterator[Text]:
    if change is None:
        yield Text("  files   what it ran then is not on record any more", style="yellow")
    else:
        if change.is_same_code:
            yield Text("  files   the code is the same, but for comments, docstrings and formatting")
        shown = list(change.files.items())[:_MOST_FILES]
        for name, kind in shown:
            yield Text(f"  file    {name}: {_WORDS[kind]}")
        if more := len(change.files) - len(shown) + change.more_files:
            yield Text(f"  file    and {more} more")
    for name in one.added:
        yield Text(f"  offers  {name}, which it did not", style="yellow")
    for name in one.removed:
        yield Text(f"  offers  {name} no more", style="yellow")
    for parameter in one.parameters:
        yield Text(f"  param   {_parameter(parameter)}", style="yellow")


def _parameter(one: ParameterChange) -> str:
    name = f"{one.of}: {one.parameter}"
    match one.change:
        case "added":
            return f"{name} is new, default {_json(one.now)}"
        case "removed":
            return f"{name} is gone"
        case "default":
            return f"{name} has the default {_json(one.now)}, and had {_json(one.then)}"
    return f"{name} has another type, range or help"


def _diff(lines: Sequence[str]) -> Iterator[Text]:
    for line in lines[:_MOST_LINES]:
        yield Text(f"    {line}", style=_COLOURS.get(line[:1], ""), no_wrap=True, overflow="ignore")
    if len(lines) > _MOST_LINES:
        yield Text("    … there are more lines of difference", style="dim")


def _printable(line: str) -> str:
    """What a terminal would take for more than text is shown as what it is."""
    shown = "".join(each if each.isprintable() or each == "\t" else "\ufffd" for each in line[:_LONGEST_LINE])
    return f"{shown}…" if len(line) > _LONGEST_LINE else shown


def _json(value: Any) -> str:
    return json.dumps(value)
