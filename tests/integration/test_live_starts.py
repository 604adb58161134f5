"""A live start, from the question to the record: what is shown, who is asked, and what is refused when somebody pushed meanwhile."""

import threading
from dataclasses import dataclass
from typing import Any

import click
import pytest
from msgspec.structs import replace

from flotilla.cli import live_starts
from flotilla.client.client import Flotilla
from flotilla.schemas import contract
from flotilla.schemas.catalog import Parameter
from flotilla.schemas.config import EngineConfig, StrategyChoice
from flotilla.schemas.engine import ConfigureEngine, RestartEngine, StartEngine, StopEngine
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.package import FoundStrategy, PackageFindings, RemovePackage
from flotilla.schemas.package_archive import digest_of, pack
from flotilla.schemas.states import RunState
from flotilla.show.start_reviews import diff_of
from tests.integration.orchestrator_bench import Bench, bench, idle, refused  # noqa: F401 - fixtures
from tests.integration.test_orchestrator_ownership import broker
from tests.integration.test_packages_on_record import Checks, checks, push  # noqa: F401 - fixtures

FIRST = pack({"mine.py": b"period = 5\n"})
SECOND = pack({"mine.py": b"period = 6\n", "new.py": b"x = 1\n"})
THIRD = pack({"mine.py": b"period = 6  # more\n", "new.py": b"x = 1\n"})


def config(template: str = "mine", **more: Any) -> EngineConfig:
    made = replace(broker("e1"), trading_mode="live", strategies=(StrategyChoice(template=template),))
    return replace(made, **more)


def findings(**defaults: int) -> PackageFindings:
    parameters = {
        name: Parameter(type="integer", help="h", default=value) for name, value in defaults.items()
    }
    strategy = FoundStrategy(
        strategy_path="mine:Mine", config_path="mine:MineConfig", description="d", parameters=parameters
    )
    return PackageFindings(strategies=(strategy,))


async def trade(bench: Bench, request: StartEngine | RestartEngine) -> None:  # noqa: F811 - the fixture
    """The engine trades, and has stopped."""
    call: Any = contract.ENGINE_START if isinstance(request, StartEngine) else contract.ENGINE_RESTART
    engine = await bench.engine((await bench.call(call, request)).session_id)
    await engine.enter(RunState.BOOTING, RunState.CONNECTING, RunState.RECONCILING, RunState.TRADING)
    await bench.state(RunState.TRADING)
    await bench.call(contract.ENGINE_STOP, StopEngine(instance_id="e1"))
    await engine.enter(RunState.STOPPED)
    await bench.state(RunState.STOPPED)


@dataclass
class Somebody:
    """Who sits at the terminal, or nobody; and what was asked."""

    answer: str | None = None
    asked: int = 0

    def isatty(self) -> bool:
        return self.answer is not None

    def prompt(self, _: str = "") -> str:
        self.asked += 1
        assert self.answer is not None
        return self.answer


@pytest.fixture
def somebody(monkeypatch: pytest.MonkeyPatch) -> Somebody:
    made = Somebody()
    monkeypatch.setattr("sys.stdin", made)
    monkeypatch.setattr("click.termui.visible_prompt_func", made.prompt)
    return made


async def test_a_live_start_shows_what_changed_and_asks_and_the_same_again_asks_nothing(
    bench: Bench,  # noqa: F811
    checks: Checks,  # noqa: F811
    somebody: Somebody,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fleet = Flotilla(bench.operator)
    threads: list[int] = []

    def noting(*arguments: Any) -> list[str]:
        threads.append(threading.get_ident())
        return diff_of(*arguments)

    monkeypatch.setattr(live_starts, "diff_of", noting)

    async def ask(chosen: EngineConfig | None, *, yes: bool = False) -> tuple[dict[str, str] | None, str]:
        digests = await live_starts.confirmed(fleet, chosen, "e1" if chosen is None else None, yes=yes)
        return digests, " ".join(capsys.readouterr().err.split())

    checks.findings = findings(period=5, gone=1)
    await push(bench, FIRST)
    # Nothing is shown or asked of one that trades no money, and what it is started with is that all the same.
    assert await ask(replace(config(), trading_mode="paper")) == ({"mine": digest_of(FIRST)}, "")
    with pytest.raises(FaultError, match="nobody to ask") as caught:
        await ask(config())
    assert caught.value.fault.code == FaultCode.CONFIRMATION_REQUIRED
    shown = " ".join(capsys.readouterr().err.split())
    assert "engine e1 will TRADE MONEY with" in shown
    assert "mine@1" in shown
    assert digest_of(FIRST) in shown
    assert "never traded money" in shown
    somebody.answer = "n"
    with pytest.raises(click.Abort):
        await ask(config())
    somebody.answer = "y"
    digests, _ = await ask(config())
    assert (digests, somebody.asked) == ({"mine": digest_of(FIRST)}, 2)
    await trade(bench, StartEngine(config=config(), confirm_live_trading=True, expected_digests=digests))

    # The version that it had asks nothing: a restart, and a start by its name.
    for chosen in (None, config(), config("mine@1")):
        assert await ask(chosen) == (digests, "")
    await trade(bench, RestartEngine(instance_id="e1", confirm_live_trading=True, expected_digests=digests))

    checks.findings = findings(period=6, fresh=2)
    await push(bench, SECOND)
    assert await ask(None) == (digests, "")
    moved, shown = await ask(config(), yes=True)
    assert (moved, somebody.asked) == ({"mine": digest_of(SECOND)}, 2)
    assert f"before mine@1 (digest {digest_of(FIRST)[:12]})" in shown
    assert "file mine.py: changed file new.py: added" in shown
    assert "-period = 5 +period = 6" in shown
    assert "mine: fresh is new, default 2" in shown
    assert "mine: gone is gone" in shown
    assert "mine: period has the default 6, and had 5" in shown
    # What was configured meanwhile is another version for a restart too.
    await bench.call(contract.ENGINE_CONFIGURE, ConfigureEngine(config=config()))
    somebody.answer = "y"
    assert (await ask(None))[0] == moved
    assert somebody.asked == 3

    # The version of then is not there any more, its content is.
    removed = RemovePackage(name="mine", version="1", force=True)
    await bench.call(contract.PACKAGE_REMOVE, removed)
    _, shown = await ask(config(), yes=True)
    assert "-period = 5 +period = 6" in shown
    await trade(bench, StartEngine(config=config(), confirm_live_trading=True, expected_digests=moved))
    await push(bench, THIRD)
    _, shown = await ask(config(), yes=True)
    assert "the code is the same, but for comments" in shown
    assert threads
    assert threading.get_ident() not in threads


async def test_a_push_between_looking_and_starting_is_noticed(
    bench: Bench,  # noqa: F811
    checks: Checks,  # noqa: F811
) -> None:
    checks.findings = findings(period=5)
    await push(bench, FIRST)
    review = await Flotilla(bench.operator).review_start(config())
    digests = {each.package.name: each.package.digest for each in review.packages}
    await push(bench, SECOND)
    request = StartEngine(config=config(), confirm_live_trading=True, expected_digests=digests)
    fault = await refused(bench, contract.ENGINE_START, request)
    assert fault.code == FaultCode.CONFLICT
    assert [each.field for each in fault.errors] == ["expected_digests.mine"]
    assert bench.host.calls == []
    await bench.call(contract.ENGINE_CONFIGURE, ConfigureEngine(config=config()))
    again = RestartEngine(instance_id="e1", confirm_live_trading=True, expected_digests=digests)
    assert (await refused(bench, contract.ENGINE_RESTART, again)).code == FaultCode.CONFLICT
    # Who asks for no comparison gets none.
    await trade(bench, StartEngine(config=config("mine@1"), confirm_live_trading=True))


async def test_what_was_looked_at_is_compared_when_it_was_configured_live_after_the_look(
    bench: Bench,  # noqa: F811
    checks: Checks,  # noqa: F811
) -> None:
    fleet = Flotilla(bench.operator)
    await push(bench, FIRST)
    paper = replace(config(), trading_mode="paper")
    await bench.call(contract.ENGINE_CONFIGURE, ConfigureEngine(config=paper))
    digests = await live_starts.confirmed(fleet, None, "e1", yes=False)
    await push(bench, SECOND)
    await bench.call(contract.ENGINE_CONFIGURE, ConfigureEngine(config=config()))
    request = StartEngine(instance_id="e1", confirm_live_trading=True, expected_digests=digests)
    fault = await refused(bench, contract.ENGINE_START, request)
    assert [each.field for each in fault.errors] == ["expected_digests.mine"]


async def test_a_start_that_is_sent_again_after_another_look_is_the_same_start(
    bench: Bench,  # noqa: F811
    checks: Checks,  # noqa: F811
) -> None:
    fleet = Flotilla(bench.operator)
    await push(bench, FIRST)
    first = await live_starts.confirmed(fleet, config(), None, yes=True)
    request = StartEngine(
        config=config(), confirm_live_trading=True, expected_digests=first, request_id="start-1"
    )
    accepted = await bench.call(contract.ENGINE_START, request)
    await push(bench, SECOND)
    second = await live_starts.confirmed(fleet, config(), None, yes=True)
    assert second != first
    again = replace(request, expected_digests=second)
    assert await bench.call(contract.ENGINE_START, again) == accepted
    fault = await refused(bench, contract.ENGINE_START, replace(request, confirm_live_trading=False))
    assert "was used for another command" in fault.message


async def test_an_engine_that_nobody_knows_is_nothing_to_look_at(bench: Bench) -> None:  # noqa: F811
    with pytest.raises(FaultError) as caught:
        await Flotilla(bench.operator).review_start(instance_id="nobody")
    assert caught.value.fault.code == FaultCode.NOT_FOUND
