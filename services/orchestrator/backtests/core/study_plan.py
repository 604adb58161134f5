"""What a study consists of, and what follows from where its backtests are. Its ids follow from numbers, so nothing is run twice."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from flotilla.schemas.backtest import BacktestConfig, BacktestStatus, Metrics, StudyConfig
from flotilla.schemas.config import StrategyChoice
from flotilla.schemas.fault import FieldError
from flotilla.services.orchestrator.backtests.core.axes import choices
from flotilla.services.orchestrator.backtests.core.chosen_strategy import templates_of
from flotilla.services.orchestrator.backtests.core.model import Study
from flotilla.services.orchestrator.backtests.core.study_ranking import Point, Points, best_of
from flotilla.services.orchestrator.backtests.core.windows import settled_windows
from flotilla.services.orchestrator.core.record_time import wall
from flotilla.services.orchestrator.templates.core.parameters import broken_rules, check_all
from flotilla.services.orchestrator.templates.core.templates import StrategyTemplate, TemplateSet


class Member(msgspec.Struct, frozen=True):
    """A backtest of a study: its number from 1, and what it runs."""

    number: int
    config: BacktestConfig


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What is due: backtests to add, and the end of the study, which cancels what has not ended."""

    add: tuple[Member, ...] = ()
    end: BacktestStatus | None = None
    why: str | None = None


def settle(
    study_id: str, config: StudyConfig, template_set: TemplateSet, now: datetime
) -> tuple[Study | None, list[FieldError]]:
    """The study, or what is wrong with it. Combinations that break a rule of the strategy's template are left out."""
    templates = templates_of(config.base, template_set)
    types = {
        f"{head}{name}": parameter
        for head, (template, _) in templates.items()
        for name, parameter in (template.parameters.items() if template else ())
    }
    spans, errors = settled_windows(config)
    found, wrong = choices(config, types, folds=len(spans) or 1)
    errors += wrong
    errors += [
        FieldError(f"config.axes.{name}", _where(templates))
        for name in config.axes
        if _head(name) not in templates
    ]
    if config.best_by not in Metrics.__struct_fields__:
        metrics = ", ".join(Metrics.__struct_fields__)
        errors.append(FieldError("config.best_by", f"must be one of {metrics}"))
    kept = [each for each in found if errors or not _is_ruled_out(templates, each)]
    if found and not kept:
        errors.append(FieldError("config.axes", "every combination breaks a rule of the strategy's template"))
    if errors:
        return None, errors
    study = Study(study_id=study_id, config=config, created_at=wall(now), choices=tuple(kept), windows=spans)
    return study, []


def members(study: Study) -> list[Member]:
    """The backtests that a study begins with: all but those that try the choice of a fold."""
    if not study.windows:
        return [Member(index + 1, _with(study, each)) for index, each in enumerate(study.choices)]
    return [
        Member(_first(study, fold) + index, _with(study, each, window.train))
        for fold, window in enumerate(study.windows)
        for index, each in enumerate(study.choices)
    ]


def member_id(study: Study, number: int) -> str:
    """The id of a study's backtest."""
    return f"{study.study_id}-{number:04}"


def step(study: Study, points: Points) -> Step:
    """What is due now, from where its backtests are."""
    if study.status.is_final:
        return Step()
    done = sum(point.status is BacktestStatus.COMPLETED for point in points.values())
    if study.config.stop_after is not None and done >= study.config.stop_after:
        return Step(end=BacktestStatus.COMPLETED, why=f"stopped after {done} results")
    due = tuple(_tests_due(study, points))
    if due or len(points) < _least(study) or not all(point.status.is_final for point in points.values()):
        return Step(add=due)
    if done == 0:
        return Step(end=BacktestStatus.FAILED, why=f"none of its {len(points)} backtests completed")
    return Step(end=BacktestStatus.COMPLETED)


def choice_of(study: Study, fold: int, points: Points) -> Point | None:
    """The best in sample of a window, `fold` from 0; None while some of it has not ended, or where none has the metric.

    It follows from what ran within the window's in-sample range and from nothing else.
    """
    trained = _trained(study, fold, points)
    return None if trained is None else best_of(trained, lowest=study.config.lowest)


def parameters_of(study: Study, number: int) -> dict[str, Any]:
    """What the backtest of this number chooses among: one of the study's choices."""
    return study.choices[(number - 1) % (len(study.choices) + 1)]


def trying(study: Study, fold: int) -> int:
    """The number of the backtest that tries the choice of a window, `fold` from 0."""
    return _first(study, fold) + len(study.choices)


def _tests_due(study: Study, points: Points) -> list[Member]:
    due = []
    for fold, window in enumerate(study.windows):
        number = trying(study, fold)
        if number not in points and (found := choice_of(study, fold, points)) is not None:
            due.append(Member(number, _with(study, parameters_of(study, found.number), window.test)))
    return due


def _trained(study: Study, fold: int, points: Points) -> Sequence[Point] | None:
    """The results that a fold's choice is made from; None while some are missing."""
    first = _first(study, fold)
    found = [points.get(number) for number in range(first, first + len(study.choices))]
    there = [point for point in found if point is not None and point.status.is_final]
    return there if len(there) == len(found) else None


def _least(study: Study) -> int:
    return len(study.choices) * max(1, len(study.windows))


def _first(study: Study, fold: int) -> int:
    return fold * (len(study.choices) + 1) + 1


def _with(study: Study, parameters: dict[str, Any], span: tuple[int, int] | None = None) -> BacktestConfig:
    base = study.config.base
    changes: dict[str, Any] = {"strategy_config": {**base.strategy_config, **parameters}}
    if base.strategies:
        changes = {
            "strategies": tuple(_given(one, f"{at}.", parameters) for at, one in enumerate(base.strategies))
        }
    if span is not None:
        changes |= {"start_date": _iso(span[0]), "end_date": _iso(span[1])}
    return msgspec.structs.replace(base, **changes)


def _iso(ns: int) -> str:
    moment = datetime.fromtimestamp(ns // 1_000_000_000, UTC)
    return moment.replace(microsecond=ns % 1_000_000_000 // 1_000).isoformat()


def _given(choice: StrategyChoice, head: str, parameters: Mapping[str, Any]) -> StrategyChoice:
    """One strategy of several with its part of the parameters."""
    given = {**choice.given, **_under(head, parameters)}
    if choice.template is not None:
        return msgspec.structs.replace(choice, parameters=given)
    return msgspec.structs.replace(choice, config=given)


def _head(axis: str) -> str:
    """What stands before the parameter: `1.` in `1.size`."""
    at, dot, _ = axis.rpartition(".")
    return at + dot


def _under(head: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Those of one strategy, by their own names."""
    return {axis.removeprefix(head): value for axis, value in parameters.items() if _head(axis) == head}


def _where(templates: Mapping[str, Any]) -> str:
    if "" in templates:
        return "must be a parameter's name alone: the backtests have one strategy"
    return f"must name its strategy, {', '.join(templates)} being the first and so on: `0.size`"


def _is_ruled_out(
    templates: Mapping[str, tuple[StrategyTemplate | None, Mapping[str, Any]]], parameters: dict[str, Any]
) -> bool:
    """True for values that are sound one by one and do not go together."""
    for head, (template, given) in templates.items():
        if template is None:
            continue
        values, _ = check_all(template.parameters, {**given, **_under(head, parameters)}, None, "")
        if broken_rules(template.rules, values, ""):
            return True
    return False
