"""From configurations to what sessions run, with the templates and the catalog as they are now."""

import msgspec

from flotilla.schemas.config import EngineConfig, RestartPolicy, StrategyChoice
from flotilla.schemas.ids import new_session_id
from flotilla.schemas.session import AccountLease, SessionSpec
from flotilla.services.orchestrator.core.record_time import wall
from flotilla.services.orchestrator.engines.actions import Clock
from flotilla.services.orchestrator.templates.core.choice import leased_accounts, restart_policy
from flotilla.services.orchestrator.templates.core.components import pinned_component
from flotilla.services.orchestrator.templates.core.parameters import Known
from flotilla.services.orchestrator.templates.core.rendering import render
from flotilla.services.orchestrator.templates.core.strategies import Rendered, render_strategy
from flotilla.services.orchestrator.templates.core.templates import TemplateSet, pinned
from flotilla.services.orchestrator.templates.ports import Catalog, Templates

_NO_TOKEN = 1
"""Which token a lease has is settled when its accounts are taken."""


class Plans:
    """Renders configurations; a snapshot, so that it can be used where nothing may be waited for."""

    def __init__(self, template_set: TemplateSet, known: Known, session_id: str, lease_ttl_s: float) -> None:
        self._shelf = template_set
        self._known = known
        self._session_id = session_id
        self._lease_ttl_s = lease_ttl_s

    def spec(self, config: EngineConfig) -> SessionSpec:
        """What a session of this configuration runs. Raises FaultError `invalid` naming every field at fault."""
        spec = render(config, self._shelf, self._known, session_id=self._session_id)
        accounts = leased_accounts(config, self._shelf)
        lease = AccountLease(token=_NO_TOKEN, ttl_s=self._lease_ttl_s, accounts=accounts)
        return msgspec.structs.replace(spec, lease=lease if accounts else None)

    def policy(self, config: EngineConfig) -> RestartPolicy:
        """How often an engine of this configuration is started again by itself."""
        return restart_policy(config, self._shelf)

    def pinned(self, config: EngineConfig) -> EngineConfig:
        """The configuration, what is of packages named with the versions that they mean now."""
        beside = {
            field: tuple(pinned_component(each, self._shelf) for each in getattr(config, field))
            for field in ("actors", "exec_algorithms")
        }
        config = msgspec.structs.replace(config, **beside)
        if not config.strategies:
            return config
        chosen = tuple(
            msgspec.structs.replace(each, template=pinned(each.template, self._shelf))
            if each.template
            else each
            for each in config.strategies
        )
        return msgspec.structs.replace(config, strategies=chosen)

    def strategy(self, choice: StrategyChoice, spec: SessionSpec) -> Rendered:
        """A strategy that joins the session of `spec`."""
        return render_strategy(choice, self._shelf, self._known, spec=spec)


class Planner:
    """Reads templates and catalog."""

    def __init__(self, templates: Templates, catalog: Catalog, clock: Clock, *, lease_ttl_s: float) -> None:
        self._templates = templates
        self._catalog = catalog
        self._clock = clock
        self._lease_ttl_s = lease_ttl_s

    async def plans(self) -> Plans:
        """Both as they are now, for one new session. Raises FaultError `unavailable` when they cannot be read."""
        template_set = await self._templates.template_set()
        known = Known.of((await self._catalog.view()).entries)
        return Plans(template_set, known, new_session_id(wall(self._clock())), self._lease_ttl_s)
