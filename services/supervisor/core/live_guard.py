"""The last guard before an engine that trades money: the supervisor looks at what a plan would do, whatever it calls itself."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

import msgspec

from flotilla.schemas.fault import FaultCode, fault
from flotilla.schemas.secrets import fields_of_side
from flotilla.schemas.session import EnginePlan, SessionSpec
from flotilla.schemas.states import EngineType, TradingMode

SIMULATED: Final = "engine_sidecar.replay.sandbox:SandboxLiveExecClientFactory"
"""The only execution that is known to trade no money."""
_BROKERS: Final = "nautilus_trader.adapters.interactive_brokers."
_PAPER_PORTS: Final = (4002, 7497)
_PAPER_ENVIRONMENTS: Final = ("testnet", "demo", "sandbox")
_PAPER_FLAGS: Final = ("testnet", "demo", "is_testnet", "is_demo")

type Secrets = Mapping[str, Mapping[str, Any]]


class RealClient(msgspec.Struct, frozen=True):
    """An execution client that is not simulated; `config` has its secret's fields in it, which win.

    `is_at_test_exchange`: its addresses come from a secret of which its owner says that no money is there.
    """

    name: str
    factory: str
    config: Mapping[str, Any]
    has_secret: bool
    is_at_test_exchange: bool = False

    @property
    def is_visibly_paper(self) -> bool:
        """True when its config shows that no money is at stake; what cannot be told from it counts as money."""
        if self._is_at_broker:
            port = self.config.get("ibg_port")
            is_dockerized = self.config.get("dockerized_gateway") is not None
            return type(port) is int and port in _PAPER_PORTS and not is_dockerized
        has_address = any(
            field.startswith("base_url") and url is not None for field, url in self.config.items()
        )
        # What a test exchange does not serve goes to the venue's test side, so that is asked for all the same.
        if has_address and not self.is_at_test_exchange:
            return False
        environment = self.config.get("environment")
        is_paper = isinstance(environment, str) and environment.lower() in _PAPER_ENVIRONMENTS
        return is_paper or any(self.config.get(flag) is True for flag in _PAPER_FLAGS)

    @property
    def lacks_secret(self) -> bool:
        """True when it cannot log in: only the gateway of Interactive Brokers has done that already."""
        return not self.has_secret and not self._is_at_broker

    @property
    def _is_at_broker(self) -> bool:
        return self.factory.startswith(_BROKERS)


def refuse_live(
    spec: SessionSpec,
    *,
    is_isolated: bool,
    secrets: Secrets | None = None,
    test_exchanges: Collection[str] = (),
) -> None:
    """Lets everything pass that trades no money, and live trading only when it is called so, confirmed, isolated and guarded.

    `secrets` are the entries that the plan names, where they are known; `test_exchanges` the names of those that are a test
    exchange's. Raises FaultError `forbidden` for real execution under
    another name, and for live trading without isolation, without the risk engine or without credentials, whatever was
    confirmed; `confirmation_required` for live trading that was not.
    """
    real = tuple(real_clients(spec.plan, secrets or {}, test_exchanges))
    if not is_called_live(spec):
        _refuse_in_disguise(spec, real)
        return
    if not is_isolated:
        raise fault(
            FaultCode.FORBIDDEN, "live trading is refused in the process runtime: it does not isolate"
        )
    if bypasses_risk_engine(spec.plan):
        raise fault(FaultCode.FORBIDDEN, "live trading is refused with the risk engine bypassed")
    if without := [client.name for client in real if client.lacks_secret]:
        raise fault(
            FaultCode.FORBIDDEN,
            f"live trading is refused without credentials: no secret is named for {', '.join(without)}",
        )
    if not spec.confirm_live_trading:
        raise fault(FaultCode.CONFIRMATION_REQUIRED, "live trading needs confirm_live_trading")


def is_called_live(spec: SessionSpec) -> bool:
    """True for the only pair that may trade money."""
    return spec.engine_type == EngineType.LIVE and spec.trading_mode == TradingMode.LIVE


def real_clients(plan: EnginePlan, secrets: Secrets, test_exchanges: Collection[str]) -> Iterator[RealClient]:
    """The execution clients that are not simulated. What is not shaped like one is one."""
    clients = plan.node.get("exec_clients") or {}
    if not isinstance(clients, dict):
        yield RealClient("exec_clients", "", {}, has_secret=False)
        return
    for name, client in clients.items():
        # NautilusTrader takes the factory of `NAME` for `NAME-001` too.
        factory = plan.exec_factories.get(name.partition("-")[0], "")
        if factory == SIMULATED:
            continue
        config = client.get("config") if isinstance(client, dict) else None
        secret = plan.secrets.get(name, "")
        config = {
            **(config if isinstance(config, dict) else {}),
            **fields_of_side(secrets.get(secret, {}), "execution"),
        }
        is_test = secret in test_exchanges
        yield RealClient(name, factory, config, has_secret=secret != "", is_at_test_exchange=is_test)


def bypasses_risk_engine(plan: EnginePlan) -> bool:
    """True unless the risk engine is certainly on."""
    risk_engine = plan.node.get("risk_engine") or {}
    return not isinstance(risk_engine, dict) or risk_engine.get("bypass", False) is not False


def _refuse_in_disguise(spec: SessionSpec, real: tuple[RealClient, ...]) -> None:
    may_be_paper = spec.trading_mode == TradingMode.PAPER and spec.engine_type in (
        EngineType.LIVE,
        EngineType.PAPER,
    )
    if money := [client.name for client in real if not (may_be_paper and client.is_visibly_paper)]:
        raise fault(
            FaultCode.FORBIDDEN,
            f"{', '.join(money)} would trade at a real venue, and the engine is {spec.engine_type}/{spec.trading_mode}: "
            "paper trading needs a venue's paper or test side, anything else is live trading and must be called so",
        )
