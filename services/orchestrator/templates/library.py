"""The templates as they are served: those on the shelf that NautilusTrader does not refuse. It is asked in the background."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from flotilla.bus.logs import get_logger
from flotilla.schemas.catalog import ListTemplates, StrategyVerdict, TemplateList, ValidateStrategy
from flotilla.schemas.fault import FaultError
from flotilla.schemas.session import PlanCheck, PlanProblems
from flotilla.services.orchestrator.core.replies import fitting
from flotilla.services.orchestrator.templates.core.checkup import (
    Content,
    due,
    is_checked,
    verdicts_of,
    without_refused,
)
from flotilla.services.orchestrator.templates.core.strategies import Rendered
from flotilla.services.orchestrator.templates.core.templates import Kind, TemplateSet, view
from flotilla.services.orchestrator.templates.core.validation import examine, judged
from flotilla.services.orchestrator.templates.ports import Templates

log = get_logger(__name__)

type Ask = Callable[[PlanCheck], Awaitable[PlanProblems | None]]

_ROUND_S: Final = 5.0
_LONGEST_PAUSE_S: Final = 60.0


class Library:
    """Serves templates unchecked until NautilusTrader was asked; its verdict on a content is kept, whatever file it is in."""

    def __init__(self, files: Templates, ask: Ask) -> None:
        self._files = files
        self._ask = ask
        self._verdicts: dict[Content, str | None] = {}

    async def template_set(self) -> TemplateSet:
        """The templates that may be used. Raises FaultError `unavailable` when they cannot be read."""
        return without_refused(await self._files.template_set(), self._verdicts)

    async def templates(self, request: ListTemplates) -> TemplateList:
        """Engine or strategy templates, sorted by name, of packages the newest; and the files of that kind that are not served."""
        template_set = await self.template_set()
        kind: Kind = "engine" if request.kind == "engine" else "strategy"
        found = template_set.engines if kind == "engine" else template_set.strategies
        # A venue's file goes with the engines that use it: it has no list of its own.
        kinds = ("strategy",) if kind == "strategy" else ("engine", "venue")
        return TemplateList(
            templates=fitting(
                view(found[name], is_checked=is_checked(template_set, kind, name, self._verdicts))
                for name in sorted(found)
                if (name == request.name if request.name else "@" not in name)
            ),
            faults=tuple(each for each in template_set.faults if each.kind in kinds),
        )

    async def validate(self, request: ValidateStrategy) -> StrategyVerdict:
        """Whether a strategy template takes these parameters, as far as we and NautilusTrader can tell."""
        verdict, strategy = examine(request, await self.template_set())
        if strategy is None:
            return verdict
        return judged(verdict, await self._ask(_check_of(strategy)))

    async def run(self, *, settle_s: float = _ROUND_S) -> None:
        """Has NautilusTrader look at what is new, for as long as it runs; `settle_s` leaves a start of ours its peace."""
        pause_s = settle_s
        while True:
            await asyncio.sleep(pause_s)
            is_answered = await self.check_new()
            pause_s = _ROUND_S if is_answered else min(2 * max(pause_s, _ROUND_S), _LONGEST_PAUSE_S)

    async def check_new(self) -> bool:
        """Asks about every template that is not known yet; False when something stays unanswered."""
        try:
            template_set = await self._files.template_set()
        except FaultError:
            return False
        for checkup in due(template_set, self._verdicts):
            found = await self._ask(checkup.request)
            if found is None:
                return False
            for content, problem in verdicts_of(checkup, found).items():
                self._verdicts[content] = problem
                if problem is not None:
                    log.warning(
                        "template is refused", template=content.name, kind=content.kind, problem=problem
                    )
        return True


def _check_of(strategy: Rendered) -> PlanCheck:
    digests = (strategy.package.digest,) if strategy.package else ()
    return PlanCheck(strategies=(strategy.config,), packages=digests)
