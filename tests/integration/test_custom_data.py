"""Rows of classes that are not NautilusTrader's, in a catalog that it wrote: listed, fed to trials and replays, and the same as by hand."""

import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flotilla.engine_sidecar.backtest.feeding import data_sets, extent_of
from flotilla.engine_sidecar.catalog.attaching import attach, detach
from flotilla.engine_sidecar.catalog.entries import catalog_view
from flotilla.engine_sidecar.catalog.mending import remove
from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError
from flotilla.engine_sidecar.replay.streams import DataSet, WrongDataError, class_of, read
from flotilla.schemas.backtest import BacktestConfig
from flotilla.schemas.catalog import is_of_class
from flotilla.schemas.decoding import convert
from flotilla.services.orchestrator.backtests.core.plans import Sources, plan_of
from flotilla.services.orchestrator.templates.core.templates import TemplateSet
from tests import book_catalog, data_strategies
from tests.book_catalog import BTC, ETH
from tests.data_strategies import STEPS, Level, NewsItem, Score
from tests.integration.test_replay_equals_backtest import zygote
from tests.integration.test_replay_of_every_kind import fills, replayed, started
from tests.integration.test_trials_equal_direct_runs import Pairs, assert_same

__all__ = ["zygote"]

OWN = [("custom_level", ""), ("custom_news_item", ""), ("custom_score", BTC), ("custom_score", ETH)]
CLASSES = ("NewsItem", "Level", "Score")
ACTS = {
    "strategy_path": "tests.data_strategies:ActsOnNews",
    "config_path": "tests.data_strategies:ActsOnNewsConfig",
    "config": {"instrument_id": BTC},
}


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("theirs")
    book_catalog.write(folder)
    data_strategies.write(folder)
    return folder


@pytest.fixture(scope="module")
def attached(theirs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    ours = tmp_path_factory.mktemp("ours") / "catalog"
    assert attach(ours, theirs, "news").unusable == ()
    return ours


@pytest.fixture(scope="module")
def pairs(attached: Path) -> Iterator[Pairs]:
    with closing(Pairs(attached)) as found:
        yield found


def planned(catalog: Path, *names: str, **chosen: Any) -> tuple[Any, list[Any]]:
    entries = catalog_view(catalog).entries
    sources = Sources(template_set=TemplateSet(modules=("tests.data_strategies",)), entries=entries)
    whole = {
        "start_date": "2020-09-14",
        "end_date": "2020-09-14",
        "instruments": [BTC],
        "venues": ["SIM"],
        "strategies": [ACTS],
        "data_types": ["quotes"],
        "base_currency": "USDT",
        "custom_data": [{"path": f"tests.data_strategies:{name}"} for name in names],
        **chosen,
    }
    return plan_of(convert(whole, BacktestConfig, "config"), sources)


def run_of(plan: Any) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(msgspec.json.encode(plan))
    told["engine"]["logging"]["log_level"] = "ERROR"
    told["venues"][0] |= {"base_currency": "USDT", "starting_balances": ["1000000 USDT"]}
    return told | {"chunk": 30}


def test_they_are_listed_and_read_as_they_were_written(attached: Path) -> None:
    entries = catalog_view(attached).entries
    assert [(one.data_type, one.identifier) for one in entries if one.is_custom] == OWN
    assert {one.attached for one in entries} == {"news"}
    news = [one.data for one in read(attached, DataSet(NewsItem, ""))]
    assert [(one.mood, one.text) for one in news] == [(step % 7, f"news {step}") for step in range(STEPS)]
    scores = [one.data for one in read(attached, DataSet(Score, ETH))]
    assert [(one.value, one.instrument_id.value) for one in scores] == [
        (50 + step % 30, ETH) for step in range(STEPS)
    ]
    assert {type(one.data) for one in read(attached, DataSet(Level, ""))} == {Level}


def test_a_trial_gets_them_as_a_run_by_hand(pairs: Pairs, attached: Path) -> None:
    plan, errors = planned(attached, *CLASSES)
    assert errors == []
    assert [(one.path.rpartition(":")[2], one.identifier, one.client_id) for one in plan.custom] == [
        ("Level", "", "SIM"),
        ("NewsItem", "", "SIM"),
        ("Score", BTC, "SIM"),
    ]
    told = run_of(plan)
    ours, by_hand = pairs.run(told)
    assert_same(ours, by_hand)
    assert len(ours["orders"]) == 3 * STEPS <= len(ours["fills"])


def test_a_replay_gets_what_its_strategy_subscribes_to(zygote: Any, pairs: Pairs, attached: Path) -> None:
    plan, errors = planned(attached, *CLASSES)
    assert errors == []
    told = run_of(plan)
    _, by_hand = pairs.run(told)
    ours = replayed(started(zygote, attached, *told["strategies"]))
    assert fills(ours) == fills(by_hand)
    assert (ours["events"], ours["balances"]) == (by_hand["events"], by_hand["balances"])


def test_what_cannot_be_read_is_said(attached: Path) -> None:
    plan, errors = planned(attached, "NotStored", "Nothing")
    assert plan is None
    assert [error.field for error in errors] == ["config.custom_data[0].path", "config.custom_data[1].path"]
    assert "it has custom_level, custom_news_item, custom_score" in errors[0].message
    _, errors = planned(attached, "NewsItem", custom_data=[{"path": "os:path"}])
    assert "config.custom_data[0].path" in {error.field for error in errors}
    twice = [{"path": "tests.data_strategies:NewsItem", "client_id": name} for name in ("A", "B")]
    plan, errors = planned(attached, custom_data=twice)
    assert plan is None
    assert [error.field for error in errors] == ["config.custom_data[1].path"]
    with pytest.raises(WrongDataError, match="has no Arrow schema"):
        class_of("tests.data_strategies:NotStored")


def test_a_run_fails_whose_class_stores_its_rows_elsewhere_than_where_they_lie(
    attached: Path, tmp_path: Path
) -> None:
    plan, errors = planned(attached, "NewsItem")
    assert errors == []
    moved = shutil.copytree(attached, tmp_path / "moved", symlinks=True)
    (moved / "data" / "custom_news_item").rename(moved / "data" / "custom_newsitem")
    with pytest.raises(WrongDataError, match="the catalog holds no NewsItem"):
        extent_of(moved, data_sets(plan), plan.start_ns, plan.end_ns)
    with pytest.raises(WrongDataError, match="is no class of data"):
        class_of("tests.data_strategies:ActsOnNews")


def test_other_commands_leave_them_alone(attached: Path) -> None:
    before = catalog_view(attached)
    with pytest.raises(ImportRefusedError, match="such rows are read here, and not changed"):
        remove(attached, ETH, "custom_score")  # type: ignore[arg-type]
    assert catalog_view(attached) == before


def test_files_that_are_no_events_are_named_and_the_others_used(theirs: Path, tmp_path: Path) -> None:
    folder = theirs / "data/custom_news_item"
    (good,) = folder.glob("*.parquet")
    bad = folder / good.name.replace("2020", "2021")
    pq.write_table(pa.table({"mood": [1.0]}), bad)
    (folder / "junk").mkdir()
    wrong = folder / "junk" / good.name
    wrong.write_bytes(b"PAR1 and no more")
    try:
        done = attach(tmp_path / "catalog", theirs, "news")
    finally:
        for file in (bad, wrong):
            file.unlink()
        wrong.parent.rmdir()
    assert [one.path for one in done.unusable] == [
        f"data/custom_news_item/{bad.name}",
        f"data/custom_news_item/junk/{good.name}",
    ]
    assert "has no whole numbers in a column ts_init" in done.unusable[0].why
    assert "is no whole Parquet file" in done.unusable[1].why
    assert [one.identifier for one in catalog_view(tmp_path / "catalog").entries if one.is_custom] == [
        identifier for _, identifier in OWN
    ]
    with pytest.raises(ImportRefusedError, match="nothing was attached"):
        attach(tmp_path / "catalog", _copy_of_news(theirs, tmp_path / "again"), None)
    detach(tmp_path / "catalog", "news")
    assert catalog_view(tmp_path / "catalog").entries == ()


def _copy_of_news(theirs: Path, folder: Path) -> Path:
    there = folder / "data/custom_news_item"
    there.mkdir(parents=True)
    for file in (theirs / "data/custom_news_item").glob("*.parquet"):
        (there / file.name).write_bytes(file.read_bytes())
    return folder


def test_a_folder_is_known_by_the_name_of_its_class() -> None:
    for kind in (NewsItem, Score, Level):
        assert is_of_class(DataSet(kind, "").rank[0], kind.__name__)
    assert not is_of_class("custom_news_item", "News")
    assert not is_of_class("quote_tick", "QuoteTick")
