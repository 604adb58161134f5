"""An account that comes back is the one that was kept, or it is refused."""

from types import SimpleNamespace
from typing import Any

import pytest
from nautilus_trader.model.currencies import USD, USDT
from nautilus_trader.model.objects import Money

from flotilla.engine_sidecar.replay.sandbox import SandboxClientConfig, continued


def config() -> SandboxClientConfig:
    return SandboxClientConfig(venue="SIM", base_currency="USDT", starting_balances=["5 USDT"])


def cache(account: Any) -> Any:
    return SimpleNamespace(account=lambda _: account)


def test_it_goes_on_with_the_balances_that_it_had() -> None:
    kept = SimpleNamespace(base_currency=USDT, balances_total=lambda: {USDT: Money(7, USDT)})
    assert continued(config(), cache(kept)).starting_balances == ["7.00000000 USDT"]
    assert continued(config(), cache(None)).starting_balances == ["5 USDT"]


def test_one_that_was_kept_in_another_currency_is_refused() -> None:
    kept = SimpleNamespace(base_currency=USD, balances_total=lambda: {USD: Money(7, USD)})
    with pytest.raises(ValueError, match=r"base_currency USDT: the account at SIM .* was kept in USD"):
        continued(config(), cache(kept))
