"""The backtests of a study, rendered to be recorded; what is wrong with one is told in the words of the study."""

import asyncio
import re
from collections.abc import Sequence
from typing import Final

from flotilla.schemas.fault import FaultError, FieldError, invalid
from flotilla.services.orchestrator.backtests.core.model import NewBacktest, Study
from flotilla.services.orchestrator.backtests.core.plans import Sources
from flotilla.services.orchestrator.backtests.core.study_plan import Member, member_id
from flotilla.services.orchestrator.backtests.plan_sources import new_backtest
from flotilla.services.orchestrator.engines.actions import Clock

_OF_SEVERAL: Final = re.compile(r"\Aconfig\.strategies\[(\d+)\]\.(?:parameters|config)\.")
_BREATH: Final = 50
"""Plans that are rendered before others get their turn."""


async def new_members(
    study: Study, members: Sequence[Member], sources: Sources, clock: Clock
) -> list[NewBacktest]:
    """The backtests to record. Raises FaultError `invalid` for the first that cannot be run."""
    new: list[NewBacktest] = []
    for index, member in enumerate(members):
        if index % _BREATH == 0:
            await asyncio.sleep(0)
        name = member_id(study, member.number)
        try:
            made = new_backtest(
                name, member.config, sources, clock(), study_id=study.study_id, number=member.number
            )
        except FaultError as error:
            raise invalid(*(_in_words(study, each) for each in error.fault.errors)) from error
        new.append(made)
    return new


def _in_words(study: Study, error: FieldError) -> FieldError:
    """What comes of an axis stands under it, and the rest under `config.base`."""
    axis = _OF_SEVERAL.sub(r"\1.", error.field.removeprefix("config.strategy_config."))
    if axis in study.config.axes:
        return FieldError(f"config.axes.{axis}", error.message)
    return FieldError(f"config.base.{error.field.removeprefix('config.')}", error.message)
