"""The supervisor's own guard before live trading."""

from itertools import product

import pytest

from schemas.fault import FaultCode, FaultError
from schemas.states import EngineType, TradingMode
from services.supervisor.core.live_guard import refuse_live
from tests.fakes.supervised import session


def refusal(engine: EngineType, mode: TradingMode, *, confirmed: bool, isolated: bool) -> FaultCode | None:
    spec = session(engine_type=engine, trading_mode=mode, confirm_live_trading=confirmed)
    try:
        refuse_live(spec, is_isolated=isolated)
    except FaultError as error:
        return error.fault.code
    return None


@pytest.mark.parametrize(("engine", "mode"), list(product(EngineType, TradingMode)))
def test_only_the_pair_that_trades_money_is_ever_refused(engine: EngineType, mode: TradingMode) -> None:
    trades_money = engine == EngineType.LIVE and mode == TradingMode.LIVE
    assert (refusal(engine, mode, confirmed=False, isolated=False) is not None) == trades_money
    assert (refusal(engine, mode, confirmed=False, isolated=True) is not None) == trades_money
    assert refusal(engine, mode, confirmed=True, isolated=True) is None


def test_without_isolation_a_confirmation_does_not_help() -> None:
    live = (EngineType.LIVE, TradingMode.LIVE)
    assert refusal(*live, confirmed=True, isolated=False) == FaultCode.FORBIDDEN
    assert refusal(*live, confirmed=False, isolated=True) == FaultCode.CONFIRMATION_REQUIRED
