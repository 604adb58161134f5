"""Studies: run, read, listed and cancelled."""

from flotilla.schemas import contract
from flotilla.schemas.backtest import ListStudies, RunStudy, WhichStudy
from flotilla.services.gateway.backtests.handlers import refuse_unless_cancelled
from flotilla.services.gateway.backtests.queries import StudyBody, StudyListQuery
from flotilla.services.gateway.backtests.study_replies import (
    StudiesReply,
    StudyCommandReply,
    StudyReply,
    WalkForwardReply,
)
from flotilla.services.gateway.backtests.views import study_summary
from flotilla.services.gateway.live.gateway import Gateway
from flotilla.services.gateway.web.inputs import Ask
from flotilla.services.gateway.web.queries import NoQuery


async def run_study(gateway: Gateway, ask: Ask[NoQuery, StudyBody]) -> StudyCommandReply:
    """A study in the queue. Raises FaultError `conflict` for an id that is taken."""
    request = RunStudy(study_id=ask.body.study_id, config=ask.body.config, request_id=ask.request_id)
    study = await gateway.bus.call(contract.STUDY_RUN, request)
    message = f"study {study.study_id} is {study.status}, {study.total} backtests"
    return StudyCommandReply(message=message, study_id=study.study_id, status=study.status)


async def list_studies(gateway: Gateway, ask: Ask[StudyListQuery, None]) -> StudiesReply:
    """Studies, newest first."""
    request = ListStudies(limit=ask.query.limit, cursor=ask.query.cursor)
    found = await gateway.bus.call(contract.STUDY_LIST, request)
    return StudiesReply(studies=tuple(study_summary(study) for study in found.studies), next=found.next)


async def read_study(gateway: Gateway, ask: Ask[NoQuery, None]) -> StudyReply:
    """One study. Raises FaultError `not_found`."""
    study = await gateway.bus.call(contract.STUDY_GET, WhichStudy(study_id=ask.path["study_id"]))
    return StudyReply(study=study_summary(study))


async def read_walk_forward(gateway: Gateway, ask: Ask[NoQuery, None]) -> WalkForwardReply:
    """A walk forward's windows and its stitched curve. Raises FaultError `not_found`, `conflict` for a study of another kind."""
    which = WhichStudy(study_id=ask.path["study_id"])
    found = await gateway.bus.call(contract.STUDY_WALK_FORWARD, which)
    return WalkForwardReply(walk_forward=found)


async def cancel_study(gateway: Gateway, ask: Ask[NoQuery, None]) -> StudyCommandReply:
    """A study that goes on with nothing more. Raises FaultError `conflict` when it had ended, `outcome_unknown` when it may go on."""
    which = WhichStudy(study_id=ask.path["study_id"], request_id=ask.request_id)
    study = await gateway.bus.call(contract.STUDY_CANCEL, which)
    refuse_unless_cancelled(study.status, f"study {study.study_id}", {"study_id": study.study_id})
    counts = ", ".join(f"{count} {status}" for status, count in study.counts.items() if count)
    message = f"study {study.study_id} is cancelled: {counts or 'nothing of it had begun'}"
    return StudyCommandReply(message=message, study_id=study.study_id, status=study.status)
