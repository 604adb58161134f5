"""The routes of backtests, their results, and studies."""

from typing import Final

from flotilla.services.gateway.backtests import handlers as backtests
from flotilla.services.gateway.backtests import results, studies, tear_sheet
from flotilla.services.gateway.routes.route import (
    API,
    BACKTEST,
    BACKTESTS,
    ENGINE,
    RESULTS,
    STUDIES,
    Route,
    changing,
    deleting,
    reading,
)
from flotilla.services.gateway.web.failure import Failure
from flotilla.services.gateway.web.scope import About

_ONE: Final = f"{BACKTESTS}/{{backtest_id}}"
_CONFLICT: Final = {409: Failure}

BACKTEST_ROUTES: Final[tuple[Route, ...]] = (
    changing(
        "backtest_run",
        BACKTEST,
        backtests.run_backtest,
        "Put a backtest into the queue.",
        tag="backtests",
        about=About.FLEET,
    ),
    reading(
        "backtest",
        f"{BACKTEST}/{{backtest_id}}",
        backtests.read_backtest,
        "A backtest, how far it is, and once it is completed its results.",
        tag="backtests",
        about=About.FLEET,
    ),
    changing(
        "backtest_cancel",
        f"{BACKTEST}/{{backtest_id}}",
        backtests.cancel_backtest,
        "Cancel a backtest; its process is gone when this answers.",
        tag="backtests",
        about=About.FLEET,
        method="DELETE",
    ),
    reading(
        "backtests",
        f"{ENGINE}/backtests",
        backtests.list_backtests,
        "Backtests of no study, newest first.",
        tag="backtests",
        about=About.FLEET,
    ),
    reading(
        "backtest_compare",
        f"{BACKTESTS}/compare",
        backtests.compare_backtests,
        "Backtests side by side, and in which parameters they differ.",
        tag="backtests",
        about=About.FLEET,
        failures={404: Failure, **_CONFLICT},
    ),
    reading(
        "backtest_results",
        f"{RESULTS}/{{backtest_id}}",
        backtests.read_results,
        "The results of a completed backtest.",
        tag="backtests",
        about=About.FLEET,
        failures=_CONFLICT,
        has_etag=True,
    ),
    deleting(
        "backtest_remove_results",
        f"{RESULTS}/{{backtest_id}}",
        backtests.remove_results,
        "Delete the results of a completed backtest: trades, equity curve, every other part and the tear sheet. Its figures stay.",
        tag="backtests",
        about=About.FLEET,
    ),
    reading(
        "backtest_compare_posted",
        f"{API}/backtest/compare",
        backtests.compare_posted,
        "The same comparison, with the backtests named in the body.",
        tag="backtests",
        about=About.FLEET,
        method="POST",
    ),
    reading(
        "backtest_part",
        f"{_ONE}/results/{{part}}",
        results.read_part,
        "A part of a completed backtest's result, in pages.",
        tag="backtests",
        about=About.FLEET,
        failures=_CONFLICT,
        has_etag=True,
    ),
    reading(
        "backtest_report",
        f"{_ONE}/report",
        tear_sheet.read_report,
        "The tear sheet as one page of HTML that loads nothing: NautilusTrader's where it was drawn, else ours.",
        tag="backtests",
        about=About.FLEET,
        media="text/html",
        failures={**_CONFLICT, 413: Failure},
    ),
    reading(
        "backtest_export",
        f"{_ONE}/export",
        results.export_part,
        "A whole part of a completed backtest's result as a file.",
        tag="backtests",
        about=About.FLEET,
        media="text/csv",
        failures=_CONFLICT,
    ),
    changing(
        "backtest_verify",
        f"{_ONE}/verify",
        backtests.verify_backtest,
        "Run a completed backtest again from its manifest and compare; asked again, how that stands.",
        tag="backtests",
        about=About.FLEET,
    ),
)


STUDY_ROUTES: Final[tuple[Route, ...]] = (
    reading(
        "studies", STUDIES, studies.list_studies, "Studies, newest first.", tag="studies", about=About.FLEET
    ),
    changing(
        "study_run",
        STUDIES,
        studies.run_study,
        "Put a study into the queue.",
        tag="studies",
        about=About.FLEET,
    ),
    reading(
        "study",
        f"{STUDIES}/{{study_id}}",
        studies.read_study,
        "A study: how many of its backtests are where, and the best of them.",
        tag="studies",
        about=About.FLEET,
    ),
    changing(
        "study_cancel",
        f"{STUDIES}/{{study_id}}",
        studies.cancel_study,
        "Cancel what is left of a study.",
        tag="studies",
        about=About.FLEET,
        method="DELETE",
    ),
    reading(
        "study_walk_forward",
        f"{STUDIES}/{{study_id}}/walk_forward",
        studies.read_walk_forward,
        "The windows of a walk forward with their choices, and what these earned out of sample as one curve.",
        tag="studies",
        about=About.FLEET,
        failures=_CONFLICT,
    ),
    reading(
        "study_backtests",
        f"{STUDIES}/{{study_id}}/backtests",
        backtests.list_backtests,
        "The backtests of a study, newest first.",
        tag="studies",
        about=About.FLEET,
    ),
)
