"""The last guard before an engine that trades money: the supervisor checks although others have."""

from schemas.fault import FaultCode, fault
from schemas.session import SessionSpec
from schemas.states import EngineType, TradingMode


def refuse_live(spec: SessionSpec, *, is_isolated: bool) -> None:
    """Lets everything pass that trades no money, and live trading only when it is confirmed and isolated in a container.

    Raises FaultError `forbidden` without isolation, whatever was confirmed, and `confirmation_required` without confirmation.
    """
    if not trades_money(spec):
        return
    if not is_isolated:
        raise fault(
            FaultCode.FORBIDDEN, "live trading is refused in the process runtime: it isolates nothing"
        )
    if not spec.confirm_live_trading:
        raise fault(FaultCode.CONFIRMATION_REQUIRED, "live trading needs confirm_live_trading")


def trades_money(spec: SessionSpec) -> bool:
    """True for the only pair that does."""
    return spec.engine_type == EngineType.LIVE and spec.trading_mode == TradingMode.LIVE
