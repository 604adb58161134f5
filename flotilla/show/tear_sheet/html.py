"""HTML in which text stays text: whatever is not Html is escaped, wherever it is put."""

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

_ODD: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]"
)
"""Control characters, those that turn text around, and what no file can hold."""
_SIDES: Final = {">": "n", "<": "said"}
_JOINTS: Final = re.compile(r"([_./])(?=\w)")
_VOID: Final = frozenset(("meta", "path", "rect", "wbr"))


class Html(str):
    """Markup. Every other string is text."""

    __slots__ = ()


def text(value: str) -> Html:
    """Text as markup; what would hide or turn around what stands beside it shows as a box."""
    return value if isinstance(value, Html) else Html(escape(_ODD.sub("\N{REPLACEMENT CHARACTER}", value)))


def joined(parts: Iterable[str]) -> Html:
    """One after the other."""
    return Html("".join(map(text, parts)))


def element(name: str, *inside: str, **attributes: str | int | float | None) -> Html:
    """`<name …>inside</name>`; `class_` is `class`, `aria_label` is `aria-label`, an attribute that is None is left out."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Html(f"<{name}{given}>" if name in ("meta", "wbr") else f"<{name}{given}/>")
    return Html(f"<{name}{given}>{joined(inside)}</{name}>")


def section(title: str, *inside: str, note: str = "") -> Html:
    """A part of the page under its heading; nothing when there is nothing in it."""
    if not any(inside):
        return Html("")
    about = element("p", note, class_="note") if note else ""
    return element("section", element("h2", title), about, *inside)


def note(words: str) -> Html:
    """A quiet sentence."""
    return element("p", words, class_="note")


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, class_: str | None = None) -> Html:
    """Rows of cells; a column whose heading starts with `>` is of numbers, with `<` of sentences. It scrolls by itself where it is too wide."""
    sides = [_SIDES.get(name[:1]) for name in head]
    names = [name[1:] if side else name for name, side in zip(head, sides, strict=True)]
    top = element("thead", _row("th", [breakable(name) for name in names], sides)) if any(names) else ""
    body = element("tbody", *(_row("td", row, sides) for row in rows))
    return element("div", element("table", top, body, class_=class_), class_="wide")


def _row(cell: str, texts: Sequence[str], sides: Sequence[str | None]) -> Html:
    return element("tr", *(element(cell, each, class_=side) for each, side in zip(texts, sides, strict=True)))


def breakable(name: str) -> Html:
    """A name that may go on in the next line after each `_`, `.` and `/`."""
    return Html(_JOINTS.sub(r"\1<wbr>", text(name)))


def facts(pairs: Iterable[tuple[str, str]]) -> Html:
    """Names with their values."""
    return element(
        "dl",
        *(element("div", element("dt", breakable(name)), element("dd", value)) for name, value in pairs),
        class_="facts",
    )
