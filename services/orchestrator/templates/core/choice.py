"""What follows from a configuration and the templates without rendering it: the template, the restart policy, the accounts."""

from typing import Final

from flotilla.schemas.config import EngineConfig, RestartPolicy, VenueChoice
from flotilla.schemas.dead_man import DeadMan, DeadManChoice
from flotilla.schemas.fault import FieldError, invalid
from flotilla.schemas.session import VenueAccount
from flotilla.schemas.states import DeadManPolicy, EngineType, TradingMode
from flotilla.services.orchestrator.templates.core.templates import (
    EngineTemplate,
    TemplateSet,
    VenueUse,
    unknown_template,
)
from flotilla.services.orchestrator.templates.core.venues import VenueTemplate

_BY_TYPE: Final = {
    EngineType.LIVE: "paper_trading",
    EngineType.PAPER: "paper_trading",
    EngineType.SANDBOX: "sandbox_engine",
    EngineType.BACKTEST: "backtest_engine",
}
_LONGEST_VENUE: Final = 31


def engine_template(config: EngineConfig, template_set: TemplateSet) -> EngineTemplate:
    """The template named, or the one that goes with the engine's type and mode. Raises FaultError `invalid`."""
    name = _template_name(config)
    if (template := template_set.engines.get(name)) is None:
        raise invalid(
            unknown_template(
                "config.template", name, template_set.engines, faults=template_set.faults_of("engine")
            )
        )
    is_real = template.trading_mode == TradingMode.LIVE
    if config.trades_money and not is_real:
        raise invalid(FieldError("config.template", f"template {name} is not for live trading"))
    if is_real and config.engine_type != EngineType.LIVE:
        text = f"template {name} trades at venues: it takes engine_type live, on paper or with money"
        raise invalid(FieldError("config.template", text))
    return template


def restart_policy(config: EngineConfig, template_set: TemplateSet) -> RestartPolicy:
    """How often an engine with this configuration is started again by itself; never, if its template is not there any more."""
    if config.restart is not None:
        return config.restart
    template = template_set.engines.get(_template_name(config))
    return template.defaults.restart if template else RestartPolicy()


def dead_man(config: EngineConfig, template: EngineTemplate) -> DeadMan:
    """What the engine does by itself when no orchestrator is heard: the operator's choice, else the template's. Raises FaultError `invalid`."""
    chosen, default = config.dead_man or DeadManChoice(), template.defaults.dead_man
    policy = chosen.policy or default.policy
    if chosen.after_s is not None and policy == DeadManPolicy.CONTINUE:
        text = f"changes nothing where the policy is {policy}: choose reduce or flatten"
        raise invalid(FieldError("config.dead_man.after_s", text))
    return DeadMan(policy=policy, after_s=chosen.after_s or default.after_s)


def leased_accounts(config: EngineConfig, template_set: TemplateSet) -> tuple[VenueAccount, ...]:
    """The accounts that no other engine may trade meanwhile, sorted: those at venues that execute the orders themselves.

    An account stands under its adapter, whatever the operator calls the venue. Where the adapter's config names none, the keys say which
    account orders reach: then the secret stands for it beside whatever the operator calls it, so that no two names of one are two.
    """
    use = engine_template(config, template_set).venues
    if use is None or use.simulated is not None:
        return ()
    named = {
        VenueAccount(venue=choice.adapter.upper()[:_LONGEST_VENUE], account=account)
        for choice in config.venues
        if (adapter := template_set.venues.get(choice.adapter)) and adapter.execution
        if choice.config.get("execution", {}) is not None
        for account in _names(choice, adapter)
    }
    return tuple(sorted(named))


def _names(choice: VenueChoice, adapter: VenueTemplate) -> tuple[str, ...]:
    if adapter.account_field is not None and choice.account is not None:
        return (choice.account,)
    return tuple(name for name in (choice.account, choice.secret) if name is not None)


def keeps_state(config: EngineConfig, use: VenueUse | None) -> bool:
    """True when orders and positions are to be kept in the fleet's Redis.

    Where `use_cache_database` is null it is the template's wish, to be dropped when no host has a Redis.
    """
    if config.use_cache_database is not None:
        return config.use_cache_database
    return bool(config.venues) and use is not None and use.uses_cache


def _template_name(config: EngineConfig) -> str:
    if config.template is not None:
        return config.template
    return "live_engine" if config.trades_money else _BY_TYPE[EngineType(config.engine_type)]
