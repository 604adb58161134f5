"""Templates over the bus: validated, listed with their faults, and taken away when NautilusTrader refuses them."""

from flotilla.schemas import contract
from flotilla.schemas.catalog import ListTemplates, TemplateList, ValidateStrategy
from flotilla.schemas.fault import FieldError
from flotilla.schemas.session import PlanCheck, PlanProblems
from tests.integration.orchestrator_bench import BARS, Bench, bench, idle, until  # noqa: F401 - fixtures


async def strategies(bench: Bench) -> TemplateList:  # noqa: F811 - the fixture
    return await bench.call(contract.TEMPLATE_LIST, ListTemplates())


async def test_parameters_are_validated_and_nothing_is_started(bench: Bench) -> None:  # noqa: F811
    wrong = ValidateStrategy(strategy_name="ema_cross", parameters={"trade_size": -5, "colour": "red"})
    verdict = await bench.call(contract.STRATEGY_VALIDATE, wrong)
    assert not verdict.is_valid
    assert [error.field for error in verdict.errors] == ["parameters.colour", "parameters.trade_size"]
    sound = ValidateStrategy(strategy_name="ema_cross", parameters={"trade_size": 7})
    verdict = await bench.call(contract.STRATEGY_VALIDATE, sound)
    assert (verdict.is_valid, verdict.config) == (True, {"bar_type": BARS, "trade_size": "7"})
    assert "NautilusTrader was not asked" in verdict.message
    assert bench.host.calls == []


async def test_a_template_whose_class_is_not_there_is_taken_away(bench: Bench) -> None:  # noqa: F811
    asked: list[PlanCheck] = []

    async def check(request: PlanCheck) -> PlanProblems:
        asked.append(request)
        return PlanProblems(problems=(FieldError("strategies[0].strategy_path", "no module named some"),))

    await bench.host.bus.serve(contract.PLAN_CHECK, check, host=bench.host.host)
    found = await until(lambda: strategies(bench), lambda found: found.templates == (), within_s=30.0)
    assert [each.file for each in found.faults] == ["strategies/ema_cross.json"]
    assert "no module named some" in found.faults[0].message
    assert asked[-1].strategies[0]["strategy_path"] == "some.module:EMACross"
