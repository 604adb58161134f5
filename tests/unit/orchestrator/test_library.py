"""Templates as they are served: what NautilusTrader refuses is a fault, and nobody waits for it."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from flotilla.schemas.catalog import ListTemplates, TemplateFault, TemplateList, ValidateStrategy
from flotilla.schemas.config import StrategyChoice
from flotilla.schemas.fault import FieldError
from flotilla.schemas.session import PlanCheck, PlanProblems
from flotilla.services.orchestrator.templates.core.loading import load
from flotilla.services.orchestrator.templates.core.strategies import render_all
from flotilla.services.orchestrator.templates.core.templates import Kind, StrategyTemplate, TemplateSet
from flotilla.services.orchestrator.templates.library import Library
from tests.unit.orchestrator.template_sets import SHELF
from tests.unit.orchestrator.test_rendering import STRATEGY

NAMES = ("alpha", "beta", "gamma")


class Nautilus:
    """Refuses the classes it is told to, and notes what it was asked."""

    def __init__(self, *refused: str) -> None:
        self.refused = refused
        self.is_there = True
        self.asked: list[PlanCheck] = []

    async def ask(self, request: PlanCheck) -> PlanProblems | None:
        self.asked.append(request)
        if not self.is_there:
            return None
        wrong = [
            FieldError(f"strategies[{index}].strategy_path", f"no {name}")
            for index, each in enumerate(request.strategies)
            if (name := each["strategy_path"].split(":")[1]) in self.refused
        ]
        if request.plan and "plan" in self.refused:
            wrong.append(FieldError("plan.node", "no such client"))
        return PlanProblems(problems=tuple(wrong))


class Files:
    """A shelf that the test changes."""

    def __init__(self, template_set: TemplateSet) -> None:
        self.now = template_set

    async def template_set(self) -> TemplateSet:
        return self.now


def strategies(names: Sequence[str], digest: str = "1") -> TemplateSet:
    bodies = [{**STRATEGY, "name": name, "strategy_path": f"mod:{name.title()}"} for name in names]
    loaded = {
        each["name"]: load(msgspec.json.encode(each), StrategyTemplate, each["name"]) for each in bodies
    }
    digests: dict[tuple[Kind, str], str] = {("strategy", name): digest for name in names}
    fault = TemplateFault(file="strategies/broken.json", kind="strategy", message="m")
    return TemplateSet(strategies=loaded, digests=digests, faults=(fault,))


def library(*refused: str, template_set: TemplateSet | None = None) -> tuple[Library, Nautilus, Files]:
    nautilus, files = Nautilus(*refused), Files(template_set or strategies(NAMES))
    return Library(files, nautilus.ask), nautilus, files


def served(found: TemplateList) -> list[str]:
    return [each.name for each in found.templates]


async def test_templates_are_served_before_nautilustrader_was_asked() -> None:
    made, nautilus, _ = library("Beta")
    found = await made.templates(ListTemplates())
    assert (served(found), [each.file for each in found.faults]) == (list(NAMES), ["strategies/broken.json"])
    assert nautilus.asked == []


async def test_what_nautilustrader_refuses_is_a_fault_and_served_no_more() -> None:
    made, nautilus, _ = library("Beta")
    assert await made.check_new()
    found = await made.templates(ListTemplates())
    assert served(found) == ["alpha", "gamma"]
    assert found.faults[1] == TemplateFault(
        file="strategies/beta.json",
        kind="strategy",
        message="NautilusTrader refuses it: strategy_path: no Beta",
    )
    assert set((await made.template_set()).strategies) == {"alpha", "gamma"}
    (asked,) = nautilus.asked
    assert [each["config"]["trade_size"] for each in asked.strategies] == ["100"] * 3


async def test_a_template_is_listed_as_not_checked_until_nautilustrader_has_spoken() -> None:
    made, nautilus, _ = library("Beta")
    nautilus.is_there = False
    await made.check_new()
    assert [each.is_checked for each in (await made.templates(ListTemplates())).templates] == [False] * 3
    nautilus.is_there = True
    await made.check_new()
    assert [each.is_checked for each in (await made.templates(ListTemplates())).templates] == [True] * 2


async def test_of_engine_templates_ours_count_as_checked_and_others_do_not_before_their_turn() -> None:
    digests: dict[tuple[Kind, str], str] = {("engine", name): "1" for name in SHELF.engines}
    ours: frozenset[tuple[Kind, str]] = frozenset({("engine", "backtest_engine")})
    made, _, _ = library(template_set=msgspec.structs.replace(SHELF, digests=digests, ours=ours))
    found = await made.templates(ListTemplates(kind="engine"))
    assert {each.name: each.is_checked for each in found.templates} == {
        "backtest_engine": True,
        "live_engine": False,
        "paper_trading": False,
        "sandbox_engine": False,
    }


async def test_a_template_that_is_refused_is_named_with_the_reason_wherever_it_is_used() -> None:
    made, _, _ = library("Beta")
    await made.check_new()
    why = "the template beta is not served: NautilusTrader refuses it: strategy_path: no Beta"
    assert (await made.validate(ValidateStrategy(strategy_name="beta"))).message == why
    _, errors = render_all([StrategyChoice(template="beta")], await made.template_set(), None, {})
    assert [error.message for error in errors] == [why]
    unknown = await made.validate(ValidateStrategy(strategy_name="delta"))
    assert unknown.message == "there is no template delta; there are alpha, gamma"


async def test_only_new_contents_are_asked_about() -> None:
    made, nautilus, files = library("Beta")
    await made.check_new()
    await made.check_new()
    assert len(nautilus.asked) == 1
    nautilus.refused = ()
    changed = strategies(["beta"], digest="2")
    files.now = msgspec.structs.replace(
        files.now,
        strategies={**files.now.strategies, **changed.strategies},
        digests={**files.now.digests, **changed.digests},
    )
    assert set((await made.template_set()).strategies) == set(NAMES)
    await made.check_new()
    assert [each["strategy_path"] for each in nautilus.asked[1].strategies] == ["mod:Beta"]
    assert set((await made.template_set()).strategies) == set(NAMES)


async def test_templates_stay_when_no_host_can_say_and_are_asked_about_again() -> None:
    made, nautilus, _ = library("Beta")
    nautilus.is_there = False
    assert not await made.check_new()
    assert served(await made.templates(ListTemplates())) == list(NAMES)
    nautilus.is_there = True
    assert await made.check_new()
    assert served(await made.templates(ListTemplates())) == ["alpha", "gamma"]


async def test_engine_templates_of_peoples_own_are_checked_as_whole_plans() -> None:
    digests: dict[tuple[Kind, str], str] = {("engine", name): "1" for name in SHELF.engines}
    ours: frozenset[tuple[Kind, str]] = frozenset({("engine", "backtest_engine")})
    template_set = msgspec.structs.replace(SHELF, digests=digests, ours=ours)
    made, nautilus, _ = library("plan", template_set=template_set)
    await made.check_new()
    plans = [each.plan for each in nautilus.asked]
    assert (
        len(plans) == 2
    )  # paper_trading and sandbox_engine; live_engine has nothing to build without a venue
    assert all(plan and not plan.instruments and not plan.strategies for plan in plans)
    found = await made.templates(ListTemplates(kind="engine"))
    assert served(found) == ["backtest_engine", "live_engine"]
    assert {each.file for each in found.faults} == {
        "engines/paper_trading.json",
        "engines/sandbox_engine.json",
    }


async def test_a_template_that_needs_an_operators_choice_is_asked_about_with_a_sample() -> None:
    parameters: dict[str, Any] = {
        **STRATEGY["parameters"],
        "horizon": {"type": "integer", "help": "h", "required": True, "min": 5},
        "pair": {"type": "instrument", "help": "h", "required": True},
        "side": {"type": "string", "help": "h", "required": True, "choices": ["BUY", "SELL"]},
    }
    body = {**STRATEGY, "name": "needs", "parameters": parameters, "config": {"a": "{horizon}{pair}{side}"}}
    free = {**parameters, "note": {"type": "string", "help": "h", "required": True}}
    template_set = TemplateSet(
        strategies={
            "needs": load(msgspec.json.encode(body), StrategyTemplate, "needs"),
            "free": load(
                msgspec.json.encode({**body, "name": "free", "parameters": free}), StrategyTemplate, "free"
            ),
        },
        digests={("strategy", "needs"): "1", ("strategy", "free"): "1"},
    )
    made, nautilus, _ = library(template_set=template_set)
    await made.check_new()
    assert [each["config"]["a"] for each in nautilus.asked[0].strategies] == ["6SPX.SIMBUY"]


async def test_a_validation_asks_nautilustrader_only_about_what_we_find_sound() -> None:
    made, nautilus, _ = library("Alpha")
    wrong = await made.validate(ValidateStrategy(strategy_name="alpha", parameters={"trade_size": -5}))
    assert (wrong.is_valid, nautilus.asked) == (False, [])
    refused = await made.validate(ValidateStrategy(strategy_name="alpha"))
    assert (refused.is_valid, len(nautilus.asked)) == (False, 1)
    assert (await made.validate(ValidateStrategy(strategy_name="beta"))).is_valid


async def test_it_keeps_asking_in_the_background() -> None:
    made, nautilus, _ = library("Beta")
    async with asyncio.timeout(15), asyncio.TaskGroup() as group:
        running = group.create_task(made.run(settle_s=0.0), name="library")
        while served(await made.templates(ListTemplates())) == list(NAMES):
            await asyncio.sleep(0.01)
        running.cancel()
    assert len(nautilus.asked) == 1
