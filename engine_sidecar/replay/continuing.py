"""What a simulated venue needs to go on where the last session left off: it is new each time, and its account is not."""

from copy import copy
from typing import Any

import msgspec
from nautilus_trader.adapters.sandbox.config import SandboxExecutionClientConfig
from nautilus_trader.model.events import OrderFilled
from nautilus_trader.model.identifiers import AccountId


def tagged(fill: OrderFilled, tag: str) -> OrderFilled:
    """The fill with a tag behind its trade id, the same one without a tag."""
    if not tag:
        return fill
    values = OrderFilled.to_dict(fill)
    values["trade_id"] = f"{values['trade_id']}-{tag}"
    return OrderFilled.from_dict(values)


def continued[C: SandboxExecutionClientConfig](config: C, cache: Any) -> C:
    """The config with the balances that the account had when it was last seen, and ids that were not given yet.

    Raises ValueError for an account that was kept in another currency.
    """
    account = cache.account(AccountId(f"{config.venue}-001"))
    if account is None:
        return config
    kept = account.base_currency.code if account.base_currency else None
    if kept != config.base_currency:
        raise ValueError(
            f"base_currency {config.base_currency}: the account at {config.venue} that came back was kept in {kept}"
        )
    balances = [str(balance) for balance in account.balances_total().values()]
    after = copy(config)
    msgspec.structs.force_setattr(after, "starting_balances", balances)
    msgspec.structs.force_setattr(after, "use_random_ids", True)
    return after
