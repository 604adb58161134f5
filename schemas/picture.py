"""The contract as a picture: a lane for each actor, an arrow for all that one asks of another, a line for what it publishes.

It is plain text of SVG that depends on the rows alone. It has a ground of its own, so that it can be read on light pages and dark.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape
from textwrap import wrap
from typing import Final

from flotilla.schemas.contract import CALLS, FEEDS, Actor, Durability

_LANES: Final = (
    (Actor.OPERATOR, "CLI and client", "#475569"),
    (Actor.GATEWAY, "REST and SSE", "#7c3aed"),
    (Actor.NOTIFIER, "tells people", "#be123c"),
    (Actor.ORCHESTRATOR, "the record", "#2563eb"),
    (Actor.SUPERVISOR, "one per host", "#0f766e"),
    (Actor.SIDECAR, "one per engine", "#c2410c"),
    (Actor.WORKER, "runs trials", "#a16207"),
)
_PITCH, _LEFT, _TOP, _LINE, _WIDTH = 124, 78, 92, 16, 1324
_TEXT: Final = _LEFT + len(_LANES) * _PITCH - 44
_COLUMNS: Final = 54
_WRITTEN_OUT: Final = 2
_STYLE: Final = (
    "text{font:12px system-ui,'Segoe UI',Helvetica,Arial,sans-serif;fill:#334155}"
    ".name{font-weight:600;font-size:13px;fill:#fff;text-anchor:middle}.duty{font-size:11px;fill:#fff;text-anchor:middle}"
    ".count{font-weight:600;fill:#0f172a}.subject{font:11px ui-monospace,Menlo,Consolas,monospace;fill:#475569;white-space:pre}"
    ".head{font-size:11px;letter-spacing:.08em;fill:#64748b}"
)


def picture() -> str:
    """The SVG. A row's text stands beside the lanes, so nothing overlaps, whatever the contract says."""
    body: list[str] = []
    y = _TOP
    for head, shapes, title, subjects in _drawn():
        if head:
            body.append(f'<text class="head" x="{_TEXT}" y="{y + 8}">{head}</text>')
            y += 36
        body.append(f'<g transform="translate(0 {y})">{shapes}')
        body.append(f'<text class="count" x="{_TEXT}" y="4">{escape(title)}</text>')
        body += [
            f'<text class="subject" x="{_TEXT}" y="{4 + _LINE * number}">{escape(line)}</text>'
            for number, line in enumerate(subjects, start=1)
        ]
        body.append("</g>")
        y += _LINE * (1 + len(subjects)) + 12
    return "\n".join([*_frame(y + 8), *_heads(y - 14), *body, "</svg>"]) + "\n"


def _drawn() -> Iterator[tuple[str, str, str, list[str]]]:
    """Each row: the heading above it, its shapes, its title and its subjects."""
    head = "CALLS: WHO ASKS WHOM"
    for number, (caller, _, colour) in enumerate(_LANES):
        for at, (owner, _, _) in enumerate(_LANES):
            rows = [call for call in CALLS if call.owner == owner and caller in call.callers]
            if caller == owner or not rows:
                continue
            commands = sum(call.is_command for call in rows)
            told = (_number(commands, "command"), _number(len(rows) - commands, "question"))
            title = f"{caller} → {owner}: {' and '.join(filter(None, told))}"
            yield head, _arrow(number, at, colour), title, _subjects([call.subject for call in rows])
            head = ""
    head = "FEEDS: WHO TELLS WHOEVER LISTENS"
    for number, (owner, _, colour) in enumerate(_LANES):
        feeds = [feed for feed in FEEDS if feed.owner == owner]
        if not feeds:
            continue
        kept = [feed.durability for feed in feeds if feed.durability != Durability.LOSSY]
        streams = (
            f", {'all' if len(kept) == len(feeds) else len(kept)} kept in {', '.join(dict.fromkeys(kept))}"
            if kept
            else ""
        )
        title = f"{owner}: {_number(len(feeds), 'feed')}{streams}"
        yield head, _broadcast(number, colour), title, _subjects([feed.subject for feed in feeds])
        head = ""


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' if count > 1 else ''}" if count else ""


def _subjects(subjects: Sequence[str]) -> list[str]:
    """A few subjects as they are, many by what they have in common: `fleet.engine.*`."""
    if len(subjects) > _WRITTEN_OUT:
        families = Counter(subject.rpartition(".")[0] for subject in subjects)
        subjects = [
            f"{family}.*" if count > 1 else _only(family, subjects) for family, count in families.items()
        ]
    return wrap("  ".join(subjects), _COLUMNS, break_long_words=False, break_on_hyphens=False)


def _only(family: str, subjects: Sequence[str]) -> str:
    return next(subject for subject in subjects if subject.rpartition(".")[0] == family)


def _x(lane: int) -> int:
    return _LEFT + lane * _PITCH


def _arrow(start: int, end: int, colour: str) -> str:
    tip, side = _x(end), 1 if end > start else -1
    return (
        f'<line x1="{_x(start)}" x2="{tip - 9 * side}" stroke="{colour}" stroke-width="2"/>'
        f'<circle cx="{_x(start)}" r="4" fill="{colour}"/>'
        f'<path d="M{tip} 0l{-11 * side} -5v10z" fill="{colour}"/>'
    )


def _broadcast(lane: int, colour: str) -> str:
    return (
        f'<line x1="{_x(0)}" x2="{_x(len(_LANES) - 1)}" stroke="{colour}" stroke-width="1.5" stroke-dasharray="2 5"/>'
        f'<circle cx="{_x(lane)}" r="6" fill="{colour}"/>'
    )


def _frame(height: int) -> list[str]:
    label = "Who calls whom on the bus, and who publishes what"
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{label}">',
        f"<style>{_STYLE}</style>",
        f'<rect x=".5" y=".5" width="{_WIDTH - 1}" height="{height - 1}" rx="14" fill="#fafbfd" stroke="#cbd5e1"/>',
    ]


def _heads(bottom: int) -> Iterator[str]:
    for lane, (actor, duty, colour) in enumerate(_LANES):
        x = _x(lane)
        yield f'<line x1="{x}" x2="{x}" y1="72" y2="{bottom}" stroke="#e2e8f0" stroke-width="2"/>'
        yield f'<rect x="{x - 56}" y="26" width="112" height="46" rx="9" fill="{colour}"/>'
        yield f'<text class="name" x="{x}" y="46">{actor}</text><text class="duty" x="{x}" y="62">{duty}</text>'
