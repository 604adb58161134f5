"""What `python -m flotilla.engine_sidecar.catalog check` finds in a catalog."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nautilus_trader.model.data import Bar, BarType, QuoteTick
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from tests.engine_processes import ROOT
from tests.integration.test_replay_equals_backtest import catalog

__all__ = ["catalog"]

MINUTE = 60_000_000_000
BAR_TYPE = "ACME.SIM-1-MINUTE-LAST-EXTERNAL"


def check(folder: Path) -> tuple[int, list[dict[str, Any]]]:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "flotilla.engine_sidecar.catalog",
            "check",
            "--json",
            "--catalog",
            str(folder),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def bar(minute: int, low: str, high: str, close: str) -> Bar:
    prices = [Price.from_str(text) for text in (low, high, low, close)]
    ts = minute * MINUTE
    return Bar(BarType.from_str(BAR_TYPE), *prices, Quantity.from_str("1"), ts, ts)


def test_the_sample_data_is_sound_and_its_one_gap_is_the_closed_exchange(catalog: Path) -> None:
    code, found = check(catalog)
    assert code == 0
    assert [one["bad_count"] for one in found] == [0, 0]
    days = [datetime.fromtimestamp(gap["first_ns"] / 1e9, UTC).date().isoformat() for gap in found[0]["gaps"]]
    assert days == ["2001-09-11"]


def test_prices_that_cannot_be_and_missing_minutes_are_found(tmp_path: Path) -> None:
    bars = [bar(minute, "10.00", "11.00", "10.50") for minute in range(1, 11)]
    bars.append(bar(20, "0.00", "11.00", "10.50"))
    ParquetDataCatalog(str(tmp_path)).write_data(bars)
    code, (found,) = check(tmp_path)
    assert code == 1
    assert found["events"] == 11
    assert [bad["why"] for bad in found["bad"]] == ["a price is not above zero"]
    assert found["gaps"] == [{"first_ns": 10 * MINUTE, "last_ns": 20 * MINUTE}]
    assert found["usual_s"] == 60


def test_a_crossed_quote_is_found(tmp_path: Path) -> None:
    one = Quantity.from_str("1")
    quotes = [
        QuoteTick(
            InstrumentId.from_str("ACME.SIM"),
            Price.from_str(bid),
            Price.from_str("10.01"),
            one,
            one,
            number * MINUTE,
            number * MINUTE,
        )
        for number, bid in enumerate(("10.00", "10.02", "10.00"), start=1)
    ]
    ParquetDataCatalog(str(tmp_path)).write_data(quotes)
    code, (found,) = check(tmp_path)
    assert (code, found["bad_count"]) == (1, 1)
    assert found["bad"][0] == {"at_ns": 2 * MINUTE, "why": "bid 10.02 is above ask 10.01"}


def test_fixed_point_prices_are_found_once(tmp_path: Path) -> None:
    bars = [bar(minute, "186030000000", "186110000000", "186050000000") for minute in range(1, 4)]
    ParquetDataCatalog(str(tmp_path)).write_data(bars)
    code, (found,) = check(tmp_path)
    assert (code, found["bad_count"]) == (1, 1)
    assert found["bad"][0]["at_ns"] == MINUTE
    assert found["bad"][0]["why"].endswith("is a large round number, as fixed-point prices are")


def test_a_split_that_was_left_in_is_found(tmp_path: Path) -> None:
    bars = [
        bar(1, "240.00", "242.00", "241.00"),
        bar(2, "12.05", "12.10", "12.06"),
        bar(3, "12.06", "12.10", "12.06"),
    ]
    ParquetDataCatalog(str(tmp_path)).write_data(bars)
    code, (found,) = check(tmp_path)
    assert (code, found["bad_count"]) == (1, 1)
    assert found["bad"][0] == {
        "at_ns": 2 * MINUTE,
        "why": "241.00 to 12.05: divided by 20.00, like a split of 20:1",
    }


def test_a_quote_with_one_side_gone_is_no_split(tmp_path: Path) -> None:
    one = Quantity.from_str("1")
    quotes = [
        QuoteTick(
            InstrumentId.from_str("ACME.SIM"), Price.from_str(bid), Price.from_str(ask), one, one, ts, ts
        )
        for ts, (bid, ask) in enumerate(
            [("10.00", "10.01"), ("1.00", "10.01"), ("10.00", "10.01"), ("1.00", "1.01")]
        )
    ]
    ParquetDataCatalog(str(tmp_path)).write_data(quotes)
    _, (found,) = check(tmp_path)
    assert [bad["at_ns"] for bad in found["bad"]] == [3]
