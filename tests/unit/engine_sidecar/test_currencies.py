"""What money a trial counts in, where nobody chose: what can be told of that without running it."""

from pathlib import Path

import pytest

from flotilla.engine_sidecar.backtest.building import TrialRefusedError
from flotilla.engine_sidecar.backtest.currencies import with_currency
from flotilla.schemas.backtest import TrialPlan


def test_an_instrument_that_is_not_there_is_named_and_no_currency_asked_for(tmp_path: Path) -> None:
    venue = {"name": "SIM", "base_currency": None}
    plan = TrialPlan(venues=(venue,), data=(), instruments=("NONE.SIM",), strategies=(), start_ns=0, end_ns=1)
    with pytest.raises(TrialRefusedError, match=r"^the catalog has no NONE\.SIM$"):
        with_currency(plan, tmp_path)
