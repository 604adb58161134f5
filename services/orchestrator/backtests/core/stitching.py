"""A walk forward as people see it: what each window chose, and what the choices earned out of sample, one after the other."""

from collections.abc import Container, Iterator, Mapping, Sequence
from datetime import tzinfo
from itertools import accumulate
from typing import Any

from flotilla.schemas.backtest import EquityPoint
from flotilla.schemas.performance import Sample, performance
from flotilla.schemas.thinning import thinned
from flotilla.schemas.walk_forward import (
    MAX_STITCHED_POINTS,
    StitchedFigures,
    StitchedPoint,
    StudyWindow,
    WalkForward,
)
from flotilla.services.orchestrator.backtests.core.model import Backtest, Study
from flotilla.services.orchestrator.backtests.core.study_plan import choice_of, parameters_of, trying
from flotilla.services.orchestrator.backtests.core.study_ranking import Points

type Curves = Mapping[str, Sequence[EquityPoint]]
"""Equity curves by the id of their backtest."""


def walk_forward(
    study: Study, points: Points, tried: Mapping[str, Backtest], curves: Curves, zone: tzinfo
) -> WalkForward:
    """The whole of it. `tried` are the backtests out of sample that there are, by id, `curves` those of the saved results among them."""
    pieces = {name: curves[name] for name in tried_ids(study, points) if curves.get(name)}
    samples, used = stitched(pieces)
    currencies = (one.facts.currency for one in tried.values() if one.facts.currency)
    summaries = [one.facts.summary for one in tried.values() if one.facts.summary]
    answered = [each.answered_requests for each in summaries]
    return WalkForward(
        study_id=study.study_id,
        windows=tuple(_windows(study, points, tried, used)),
        currency=next(currencies, None),
        timezone=study.config.base.timezone or "UTC",
        figures=_figures(samples, zone) if len(samples) > 1 else None,
        curve=tuple(_shown(samples)),
        unanswered_requests=sum(each.unanswered_requests for each in summaries),
        answered_requests=sum(filter(None, answered)) if answered and None not in answered else None,
    )


def tried_ids(study: Study, points: Points) -> list[str]:
    """The backtests that try a choice, in the order of their windows, as far as there are any."""
    numbers = (trying(study, fold) for fold in range(len(study.windows)))
    return [points[number].backtest_id for number in numbers if number in points]


def stitched(pieces: Curves) -> tuple[list[Sample], set[str]]:
    """Pieces that follow each other as one curve, and which of them are in it: each begins with what the one before ended with.

    Nothing follows on an equity of 0 or less, nor does a piece that begins with it have returns.
    """
    found: list[Sample] = []
    used: set[str] = set()
    for name, piece in pieces.items():
        before = found[-1].equity if found else piece[0].equity
        if before <= 0 or piece[0].equity <= 0:
            break
        found += [Sample(point.at_ns, before * point.equity / piece[0].equity) for point in piece]
        used.add(name)
    return found, used


def _windows(
    study: Study, points: Points, tried: Mapping[str, Backtest], used: Container[str]
) -> Iterator[StudyWindow]:
    before: dict[str, Any] = {}
    for fold, window in enumerate(study.windows):
        best, trial = choice_of(study, fold, points), points.get(trying(study, fold))
        parameters = parameters_of(study, best.number) if best else {}
        metrics = tried[trial.backtest_id].facts.metrics if trial and trial.backtest_id in tried else None
        yield StudyWindow(
            number=fold + 1,
            in_sample_start_ns=window.train[0],
            in_sample_end_ns=window.train[1],
            out_of_sample_start_ns=window.test[0],
            out_of_sample_end_ns=window.test[1],
            chosen=best.backtest_id if best else None,
            parameters=parameters,
            changed=tuple(name for name, value in parameters.items() if before and before[name] != value),
            tried=trial.backtest_id if trial else None,
            status=trial.status if trial else None,
            in_sample=best.value if best else None,
            out_of_sample=trial.value if trial else None,
            total_return=metrics.total_return if metrics else None,
            is_stitched=trial is not None and trial.backtest_id in used,
        )
        before = parameters or before


def _figures(samples: Sequence[Sample], zone: tzinfo) -> StitchedFigures:
    made = performance(samples, zone)
    return StitchedFigures(**made._asdict(), final_equity=samples[-1].equity)


def _shown(samples: Sequence[Sample]) -> Iterator[StitchedPoint]:
    """At most MAX_STITCHED_POINTS of them; what was lost is since the high of all."""
    highest = accumulate((sample.equity for sample in samples), max)
    highs = dict(zip(samples, highest, strict=True))
    for sample in thinned(samples, MAX_STITCHED_POINTS):
        high = highs[Sample(*sample)]
        yield StitchedPoint(
            at_ns=sample[0], equity=sample[1], drawdown=1.0 - sample[1] / high if high > 0 else 0.0
        )
