"""What an operator can ask of the strategies in a running engine, and of templates. Changes end with the engine's session."""

from typing import Any

from flotilla.bus.bus import Bus
from flotilla.schemas import contract
from flotilla.schemas.catalog import (
    CatalogView,
    ListCatalog,
    ListTemplates,
    StrategyVerdict,
    TemplateList,
    ValidateStrategy,
)
from flotilla.schemas.config import StrategyChoice
from flotilla.schemas.states import StopPolicy
from flotilla.schemas.strategy import AddStrategy, ListStrategies, SendSignal, StrategyList, WhichStrategy


class StrategyCalls:
    """Strategies by their id in the engine, such as EMACross-001. Without `instance_id` the one active engine is meant."""

    bus: Bus

    async def strategies(self, instance_id: str | None = None) -> StrategyList:
        """What runs in an engine."""
        return await self.bus.call(contract.STRATEGY_LIST, ListStrategies(instance_id=instance_id))

    async def add_strategy(
        self,
        strategy: StrategyChoice,
        instance_id: str | None = None,
        *,
        start: bool = True,
        request_id: str | None = None,
    ) -> StrategyList:
        """Adds a strategy to a running engine; the answer's `strategy_id` names it."""
        request = AddStrategy(strategy=strategy, instance_id=instance_id, start=start, request_id=request_id)
        return await self.bus.call(contract.STRATEGY_ADD, request)

    async def start_strategy(
        self, strategy_id: str, instance_id: str | None = None, *, request_id: str | None = None
    ) -> StrategyList:
        """Starts a strategy that was added without being started, or stopped."""
        request = WhichStrategy(strategy_id=strategy_id, instance_id=instance_id, request_id=request_id)
        return await self.bus.call(contract.STRATEGY_START, request)

    async def stop_strategy(
        self,
        strategy_id: str,
        instance_id: str | None = None,
        *,
        policy: StopPolicy | None = None,
        request_id: str | None = None,
    ) -> StrategyList:
        """Stops a strategy; `policy` says what becomes of its orders and positions. The others trade on."""
        request = WhichStrategy(
            strategy_id=strategy_id, instance_id=instance_id, policy=policy, request_id=request_id
        )
        return await self.bus.call(contract.STRATEGY_STOP, request)

    async def remove_strategy(
        self,
        strategy_id: str,
        instance_id: str | None = None,
        *,
        policy: StopPolicy | None = None,
        request_id: str | None = None,
    ) -> StrategyList:
        """Stops a strategy and removes it."""
        request = WhichStrategy(
            strategy_id=strategy_id, instance_id=instance_id, policy=policy, request_id=request_id
        )
        return await self.bus.call(contract.STRATEGY_REMOVE, request)

    async def send_signal(
        self,
        name: str,
        value: int | float | str,
        instance_id: str | None = None,
        *,
        request_id: str | None = None,
    ) -> StrategyList:
        """Sends a signal to the strategies of a running engine, which its configuration (`signals`) must permit."""
        request = SendSignal(name=name, value=value, instance_id=instance_id, request_id=request_id)
        return await self.bus.call(contract.ENGINE_SIGNAL, request)

    async def validate_strategy(
        self, template: str, parameters: dict[str, Any] | None = None
    ) -> StrategyVerdict:
        """Whether a strategy template takes these parameters: everything that is wrong with them at once."""
        request = ValidateStrategy(strategy_name=template, parameters=parameters or {})
        return await self.bus.call(contract.STRATEGY_VALIDATE, request)

    async def templates(self, kind: str = "strategy", name: str | None = None) -> TemplateList:
        """Templates of a kind, `strategy` or `engine`; `faults` are the files that are not served, and why.

        With a `name` that one alone, which may be a version of a package's strategy, such as mine@2.
        """
        return await self.bus.call(contract.TEMPLATE_LIST, ListTemplates(kind=kind, name=name))

    async def catalog(self) -> CatalogView:
        """What the data catalog holds."""
        return await self.bus.call(contract.CATALOG_LIST, ListCatalog())
