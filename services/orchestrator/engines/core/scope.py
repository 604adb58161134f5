"""Commands that are limited to engines of some labels: the gateway has looked already, here it is decided on what is changed."""

from collections.abc import Mapping

from flotilla.schemas.config import EngineConfig
from flotilla.schemas.fault import FaultCode, FieldError, fault
from flotilla.schemas.labels import matches, text_of
from flotilla.services.orchestrator.engines.core.decision import Decision
from flotilla.services.orchestrator.engines.core.fleet import unknown_engine
from flotilla.services.orchestrator.engines.core.model import Engine


def refuse_outside(instance_id: str, engine: Engine | None, scope: Mapping[str, str]) -> None:
    """Raises FaultError `not_found`, as for one that never ran, for an engine that people see and that is not in scope."""
    if engine is None or engine.is_removed:
        return
    if not matches(engine.shown_config.labels, scope):
        raise unknown_engine(instance_id)


def refuse_leaving(before: Engine | None, decision: Decision, scope: Mapping[str, str]) -> None:
    """Raises FaultError for a command that starts or stores something out of scope, or takes the id of what was removed out of it."""
    engine = decision.engine
    if before is not None and before.is_removed and not matches(before.shown_config.labels, scope):
        # What it did is on record under this id.
        raise fault(FaultCode.CONFLICT, f"the id {engine.instance_id} is not free; choose another")
    for config in _new_configs(before, decision):
        if not matches(config.labels, scope):
            why = f"what is to run does not carry {text_of(scope)}"
            raise fault(FaultCode.FORBIDDEN, f"config.labels: {why}", FieldError("config.labels", why))


def _new_configs(before: Engine | None, decision: Decision) -> list[EngineConfig]:
    """What the decision makes run, now or next."""
    engine = decision.engine
    known = () if before is None else (before.config, before.configured)
    stored = [config for config in (engine.config, engine.configured) if config and config not in known]
    pending = None if before is not None and engine.pending == before.pending else engine.pending
    begun = [spec.config for spec in (decision.spec, pending) if spec is not None and spec.config]
    return [*stored, *begun]
