"""What a run again gave, for people: equal, or what differs, causes first."""

from collections.abc import Sequence
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.text import Text

from flotilla.schemas.backtest import BacktestVerdict, Difference

_SHOWN: Final = 5
_KINDS: Final = {"files": "data", "strategy_sources": "code", "plan": "parameters"}
_CHANGES: Final = {"added": "added", "removed": "removed", "code": "changed", "content": "changed"}
_VERSIONS: Final = ("nautilus_version", "flotilla_version", "image", "python", "seed")


def verdict_report(verdict: BacktestVerdict) -> RenderableType:
    """Whether a run again gave the same; if not, what it depended on that changed, and the first thing that came out otherwise."""
    compared = f"{verdict.fills_compared:,} fills compared, run again as {verdict.verify_id}"
    if verdict.is_equal:
        equal = Text.assemble(("● ", "green"), f"backtest {verdict.backtest_id} is equal: {compared}")
        return Group(equal, *_released(verdict), *_redefined(verdict), *_newer(verdict))
    if verdict.is_equal is None:
        return Text(f"backtest {verdict.backtest_id}: {verdict.verify_id} has not ended")
    lines = [Text.assemble(("● ", "red"), f"backtest {verdict.backtest_id} is DIFFERENT: {compared}")]
    if [one.where for one in verdict.differences] == ["status"]:
        return Group(*lines, Text("\nit does not run to its end any more"), *_listed(verdict.differences))
    causes = [one for one in verdict.differences if _kind(one)]
    effects = [one for one in verdict.differences if not _kind(one)]
    has = "has changed" if causes else "has not changed"
    lines += [Text(f"\nwhat it depends on {has}"), *_listed(causes)]
    lines.append(
        Text(
            "\nwhat came of it differs, first in" if effects else "\neverything that was compared is the same"
        )
    )
    lines += _listed(effects[:1])
    if others := [one.where for one in effects[1:]]:
        lines.append(Text(f"  also in  {', '.join(others[:_SHOWN])}{_more(others)}", style="dim"))
    return Group(*lines, *_only_comments(verdict), *_redefined(verdict), *_newer(verdict))


def _only_comments(verdict: BacktestVerdict) -> list[Text]:
    if not (names := verdict.comments_only):
        return []
    text = f"only comments, docstrings or formatting changed in {', '.join(names[:_SHOWN])}{_more(names)}"
    return [Text(text, style="yellow")]


def _newer(verdict: BacktestVerdict) -> list[Text]:
    """What there is by now of the packages that it ran with; it ran again with what it had run."""
    lines = []
    for one in verdict.newer:
        head = f"{one.now.label} is newer than {one.then.label}, which it ran and runs again"
        if one.is_same_code:
            lines.append(Text(f"{head}: the code is the same, but for comments, docstrings or formatting"))
            continue
        names = [f"{name} ({_CHANGES[change]})" for name, change in one.files.items() if change != "comments"]
        lines.append(Text(f"{head}: the code has changed: {', '.join(names[:_SHOWN])}{_more(names)}"))
    return lines


def _released(verdict: BacktestVerdict) -> list[Text]:
    """What of ours is another now, and made no difference."""
    if not (changed := verdict.changed_without_effect):
        return []
    names = [" ".join(_named(one).removesuffix(", SHA-256").split()) for one in changed]
    return [
        Text(f"it ran with another release, to the same effect: {', '.join(names[:_SHOWN])}{_more(names)}")
    ]


def _redefined(verdict: BacktestVerdict) -> list[Text]:
    """That figures were not compared, where their definition has changed between the runs."""
    if verdict.figures_versions is None:
        return []
    then, now = verdict.figures_versions
    text = f"the definition of its figures has changed since (version {then}, now {now}): metrics and equity curve were not compared"
    return [Text(text, style="yellow")]


def _listed(differences: Sequence[Difference]) -> list[Text]:
    lines = []
    for one in differences[:_SHOWN]:
        # Not folded: a path is to be copied as it stands.
        lines += [Text(f"  {_named(one)}", style="bold", no_wrap=True, overflow="ignore")]
        lines += [Text(f"    then  {_plain(one.first)}"), Text(f"    now   {_plain(one.second)}")]
    if len(differences) > _SHOWN:
        lines.append(Text(f"  {_more(differences).removeprefix(', ')}", style="dim"))
    return lines


def _kind(difference: Difference) -> str | None:
    """What it is that the run depended on; None for what came of it."""
    head = difference.where.partition("[")[0].partition(".")[0]
    return head if head in _VERSIONS else _KINDS.get(head)


def _named(difference: Difference) -> str:
    """`data  bar/…/a.parquet, SHA-256`; results and versions as they are."""
    kind, where = _kind(difference), difference.where
    if kind in ("data", "code"):
        return f"{kind}  {where.partition('[')[2].removesuffix(']')}, SHA-256"
    return f"{kind}  {where.removeprefix('plan.')}" if kind == "parameters" else where


def _more(everything: Sequence[Any]) -> str:
    return f", {len(everything) - _SHOWN:,} more" if len(everything) > _SHOWN else ""


def _plain(value: Any) -> str:
    return "-" if value is None else str(value)
