"""Which template a configuration takes, how often its engine is restarted, and which accounts it holds."""

import pytest

from flotilla.schemas.config import EngineConfig, RestartPolicy, VenueChoice
from flotilla.schemas.fault import FaultError
from flotilla.schemas.session import VenueAccount
from flotilla.services.orchestrator.templates.core.choice import (
    engine_template,
    leased_accounts,
    restart_policy,
)
from flotilla.services.orchestrator.templates.core.templates import TemplateSet
from tests.unit.orchestrator.template_sets import SHELF, live, paper

VENUES = (
    VenueChoice(name="ONE", adapter="broker", account="U1"),
    VenueChoice(name="TWO", adapter="broker", account="U2", config={"execution": None}),
    VenueChoice(name="THREE", adapter="bazaar", secret="keys"),
    VenueChoice(name="FOUR", adapter="ticker", secret="keys"),
)


@pytest.mark.parametrize(
    ("engine_type", "mode", "template"),
    [
        ("live", "live", "live_engine"),
        ("live", "paper", "paper_trading"),
        ("paper", "paper", "paper_trading"),
        ("paper", "live", "paper_trading"),
        ("sandbox", "paper", "sandbox_engine"),
        ("sandbox", "live", "sandbox_engine"),
        ("backtest", "paper", "backtest_engine"),
    ],
)
def test_type_and_mode_choose_the_template(engine_type: str, mode: str, template: str) -> None:
    config = EngineConfig(engine_type=engine_type, trading_mode=mode)
    assert engine_template(config, SHELF).name == template


@pytest.mark.parametrize(
    ("template", "engine_type", "mode"),
    [
        ("sandbox", "sandbox", "paper"),
        ("paper_trading", "live", "live"),
        ("sandbox_engine", "live", "live"),
        ("live_engine", "paper", "paper"),
        ("live_engine", "sandbox", "live"),
    ],
)
def test_a_template_that_does_not_go_with_the_mode_is_refused(
    template: str, engine_type: str, mode: str
) -> None:
    config = EngineConfig(engine_type=engine_type, trading_mode=mode, template=template)
    with pytest.raises(FaultError, match=r"config\.template"):
        engine_template(config, SHELF)


def test_an_engine_is_restarted_as_its_template_says_unless_the_operator_does() -> None:
    chosen = RestartPolicy(max_restarts=9)
    assert restart_policy(live(), SHELF).max_restarts == 1
    assert restart_policy(paper(), SHELF).max_restarts == 3
    assert restart_policy(EngineConfig(engine_type="sandbox"), SHELF).max_restarts == 0
    assert restart_policy(live(restart=chosen), SHELF) == chosen
    assert restart_policy(live(), TemplateSet()).max_restarts == 0


def test_accounts_are_held_only_where_orders_go_to_the_venue() -> None:
    held = (VenueAccount(venue="BAZAAR", account="keys"), VenueAccount(venue="BROKER", account="U1"))
    assert leased_accounts(live(*VENUES), SHELF) == held
    assert leased_accounts(live(*VENUES, trading_mode="paper", template="live_engine"), SHELF) == held
    assert leased_accounts(paper(*VENUES), SHELF) == ()
    assert leased_accounts(EngineConfig(engine_type="sandbox"), SHELF) == ()


def test_what_keys_reach_is_one_account_whatever_it_is_called() -> None:
    """Two engines with one secret trade one account, also where one of them calls it something."""
    plain, named, other = (
        leased_accounts(live(VenueChoice(name="A", adapter="bazaar", secret="keys", account=account)), SHELF)
        for account in (None, "main", "sub")
    )
    assert set(plain) & set(named) == set(named) & set(other) == set(plain)
    elsewhere = VenueChoice(name="A", adapter="bazaar", secret="others", account="main")
    assert set(named) & set(leased_accounts(live(elsewhere), SHELF)), (
        "two secrets that are said to reach one account"
    )
    at_broker = VenueChoice(name="A", adapter="broker", secret="login", account="U1")
    assert leased_accounts(live(at_broker), SHELF) == (VenueAccount(venue="BROKER", account="U1"),)


def test_an_account_is_the_same_whatever_the_venue_is_called() -> None:
    first, second = (VenueChoice(name=name, adapter="broker", account="U1") for name in ("A", "B"))
    assert leased_accounts(live(first), SHELF) == leased_accounts(live(second), SHELF)
