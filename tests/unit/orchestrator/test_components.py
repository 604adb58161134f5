"""What packages have beside strategies: by which name it is chosen, what of it is checked, and which version is kept."""

from typing import Any

import pytest

from flotilla.schemas.backtest import BacktestConfig
from flotilla.schemas.catalog import Parameter
from flotilla.schemas.decoding import convert
from flotilla.schemas.fault import FieldError
from flotilla.schemas.package import (
    ComponentKind,
    FoundComponent,
    PackageFindings,
    PackageRef,
)
from flotilla.schemas.simulation import ComponentChoice
from flotilla.services.orchestrator.backtests.core.chosen_strategy import with_version
from flotilla.services.orchestrator.backtests.core.venue_plans import (
    venue_components,
    venue_errors,
    venues,
)
from flotilla.services.orchestrator.packages.core.model import Content, Version
from flotilla.services.orchestrator.packages.core.offers import (
    name_errors,
    strays,
    usage_marks,
    view,
    with_packages,
)
from flotilla.services.orchestrator.templates.core.components import beside, component, pinned_component
from flotilla.services.orchestrator.templates.core.parameters import Known
from flotilla.services.orchestrator.templates.core.strategies import Rendered, packages_of
from flotilla.services.orchestrator.templates.core.templates import TemplateSet
from tests.unit.orchestrator.makers import NOW

A, B = "a" * 64, "b" * 64
EVERY = {
    "every": Parameter(type="integer", help="h", default=5, min=1),
    "side": Parameter(
        type="enum", help="h", choices=("BUY", "SELL"), codes={"BUY": 1, "SELL": 2}, default="BUY"
    ),
    "instrument_id": Parameter(type="instrument", help="h", default="SPX.SIM"),
}
KNOWN = Known(instruments=frozenset({"SPX.SIM"}), bar_types=frozenset())


def found(kind: ComponentKind, name: str, module: str = "watch", **parameters: Parameter) -> FoundComponent:
    path = f"{module}:{name}"
    config_path = None if kind is ComponentKind.MARGIN_MODEL else f"{path}Config"
    return FoundComponent(
        kind=kind, path=path, config_path=config_path, description="d", parameters=parameters
    )


COMPONENTS = (
    found(ComponentKind.ACTOR, "Watch", **EVERY),
    found(ComponentKind.EXEC_ALGORITHM, "Slices"),
    found(ComponentKind.SIMULATION_MODULE, "Rent"),
    found(ComponentKind.FEE_MODEL, "Fees"),
    found(ComponentKind.FILL_MODEL, "Fills"),
    found(ComponentKind.LATENCY_MODEL, "Slow"),
    found(ComponentKind.MARGIN_MODEL, "Margin"),
    found(ComponentKind.DATA, "News"),
)


def version(number: str, digest: str, *components: FoundComponent, name: str = "mine") -> Version:
    content = Content(digest=digest, size_bytes=1, files=("watch.py",), strategies=(), components=components)
    return Version(name=name, version=number, content=content, pushed_at=NOW)


VERSIONS = (version("1", A, COMPONENTS[0]), version("2", B, *COMPONENTS))
TEMPLATES = with_packages(TemplateSet(), VERSIONS)


def chosen(
    path: str, kind: ComponentKind = ComponentKind.ACTOR, **config: Any
) -> tuple[Rendered | None, list[FieldError]]:
    return component(ComponentChoice(path=path, config=config), kind, "at", TEMPLATES, KNOWN)


def test_a_class_goes_by_its_package_and_means_the_newest_or_the_version_that_is_named() -> None:
    for path, digest in (("mine:Watch", B), ("mine@1:Watch", A), ("mine@2:Watch", B)):
        one, errors = chosen(path, every=7)
        assert errors == []
        assert one is not None
        assert one.package is not None
        assert one.package.digest == digest
        assert (one.config["actor_path"], one.config["config_path"]) == ("watch:Watch", "watch:WatchConfig")
        assert one.config["config"] == {"every": 7, "side": 1, "instrument_id": "SPX.SIM"}
        assert one.instruments == ("SPX.SIM",)


def test_what_every_component_has_in_its_config_is_passed_on() -> None:
    one, errors = chosen("mine:Watch", component_id="W-1", log_events=False, side="SELL")
    assert errors == []
    assert one is not None
    assert one.config["config"] == {
        "component_id": "W-1",
        "log_events": False,
        "every": 5,
        "side": 2,
        "instrument_id": "SPX.SIM",
    }


@pytest.mark.parametrize(
    ("path", "kind", "config", "field", "words"),
    [
        ("mine:Watch", ComponentKind.ACTOR, {"every": 0}, "at.config.every", "at least 1"),
        ("mine:Watch", ComponentKind.ACTOR, {"other": 0}, "at.config.other", "there are every, side"),
        ("mine:Watch", ComponentKind.ACTOR, {"instrument_id": "IXIC.SIM"}, "at.config.instrument_id", "IXIC"),
        ("mine:Fees", ComponentKind.ACTOR, {}, "at.path", "is no actor, but of the kind fee model"),
        ("mine:Watches", ComponentKind.ACTOR, {}, "at.path", "package mine has no Watches"),
        ("mine@1:Fees", ComponentKind.FEE_MODEL, {}, "at.path", "there are mine@1:Watch"),
        ("mine@3:Watch", ComponentKind.ACTOR, {}, "at.path", "no package mine@3"),
        ("yours:Watch", ComponentKind.ACTOR, {}, "at.path", "no package of this name"),
        ("os:system", ComponentKind.ACTOR, {}, "at.path", "outside the modules"),
    ],
)
def test_what_is_wrong_names_its_field(
    path: str, kind: ComponentKind, config: dict[str, Any], field: str, words: str
) -> None:
    one, errors = chosen(path, kind, **config)
    assert one is None
    assert [error.field for error in errors] == [field]
    assert words in errors[0].message


def test_the_config_class_of_a_package_is_not_chosen() -> None:
    choice = ComponentChoice(path="mine:Watch", config_path="os:path")
    _, errors = component(choice, ComponentKind.ACTOR, "at", TEMPLATES, KNOWN)
    assert [error.field for error in errors] == ["at.config_path"]


def test_a_module_that_may_be_used_comes_before_a_package_of_its_name() -> None:
    templates = with_packages(TemplateSet(modules=("mine",)), VERSIONS)
    one, errors = component(ComponentChoice(path="mine:Watch"), ComponentKind.ACTOR, "at", templates, KNOWN)
    assert errors == []
    assert one is not None
    assert (one.config["actor_path"], one.package) == ("mine:Watch", None)
    assert pinned_component(ComponentChoice(path="mine:Watch"), templates).path == "mine:Watch"


def test_a_choice_is_kept_with_the_version_that_it_means_now() -> None:
    names = ("mine:Watch", "mine@1:Watch", "mine:Nothing", "os:system")
    kept = [pinned_component(ComponentChoice(path=name), TEMPLATES).path for name in names]
    assert kept == ["mine@2:Watch", "mine@1:Watch", "mine:Nothing", "os:system"]


def test_a_package_of_a_component_counts_among_those_of_the_process() -> None:
    others, errors = beside(
        (ComponentChoice(path="mine:Watch"),), (ComponentChoice(path="mine:Slices"),), TEMPLATES, None
    )
    assert errors == []
    assert sorted(others.fields) == ["actors", "exec_algorithms"]
    older = Rendered({}, (), PackageRef(name="mine", version="1", digest=A))
    packages, errors = packages_of(others.everything, "config.strategies")
    assert ([one.digest for one in packages], errors) == ([B], [])
    assert "one version of a package" in packages_of((older, *others.everything), "x")[1][0].message


def backtest(**settings: Any) -> BacktestConfig:
    base = {"start_date": "2000-01-01", "end_date": "2001-01-01", "instruments": ["SPX.SIM"], "strategy": "x"}
    made: BacktestConfig = convert(base | {"venue_settings": {"SIM": settings}}, BacktestConfig, "config")
    return made


OWN = {
    "modules": [{"path": "mine:Rent"}],
    "own_fees": {"path": "mine:Fees"},
    "own_fill_model": {"path": "mine:Fills"},
    "own_latency": {"path": "mine:Slow"},
    "own_margin_model": {"path": "mine:Margin", "config": {"each": 2}},
}


def test_models_and_modules_of_a_package_stand_in_the_venue_as_nautilustrader_imports_them() -> None:
    config = backtest(**OWN)
    assert venue_errors(config) == []
    rendered, errors = venue_components(config, TEMPLATES, KNOWN)
    assert errors == []
    assert {one.package.digest for one in rendered if one.package} == {B}
    (made,) = venues(config, TEMPLATES, KNOWN)
    assert made["modules"] == [{"actor_path": "watch:Rent", "config_path": "watch:RentConfig", "config": {}}]
    assert made["fee_model"]["fee_model_path"] == "watch:Fees"
    assert made["fill_model"]["fill_model_path"] == "watch:Fills"
    assert made["latency_model"]["latency_model_path"] == "watch:Slow"
    assert made["margin_model"] == {"model_type": "watch:Margin", "config": {"each": 2}}


def test_a_backtest_keeps_the_versions_of_all_that_runs_beside_it() -> None:
    config = with_version(backtest(**OWN), TEMPLATES)
    kept = config.venue_settings["SIM"]
    models = [kept.own_fees, kept.own_fill_model, kept.own_latency, kept.own_margin_model]
    paths = [one.path for one in (*kept.modules, *models) if one]
    assert paths == [f"mine@2:{name}" for name in ("Rent", "Fees", "Fills", "Slow", "Margin")]


@pytest.mark.parametrize(
    ("settings", "field", "words"),
    [
        ({"fees": {"kind": "fixed", "commission": "2 USD"}}, "own_fees", "place of `fees`"),
        ({"fill_model": {}}, "own_fill_model", "place of `fill_model`"),
        ({"latency": {}}, "own_latency", "place of `latency`"),
        ({"margin_model": "standard"}, "own_margin_model", "place of `margin_model`"),
        ({"account_type": "CASH"}, "own_margin_model", "MARGIN account only"),
    ],
)
def test_a_model_of_ones_own_stands_in_the_place_of_another(
    settings: dict[str, Any], field: str, words: str
) -> None:
    errors = venue_errors(backtest(**OWN, **settings))
    assert [error.field for error in errors] == [f"config.venue_settings.SIM.{field}"]
    assert words in errors[0].message


def test_a_margin_model_of_a_module_has_no_config_class() -> None:
    templates = TemplateSet(modules=("own",))
    given = ComponentChoice(path="own:Margin", config_path="own:MarginConfig")
    _, errors = component(given, ComponentKind.MARGIN_MODEL, "at", templates, None)
    assert [error.field for error in errors] == ["at.config_path"]
    one, _ = component(ComponentChoice(path="own:Margin"), ComponentKind.MARGIN_MODEL, "at", templates, None)
    assert one is not None
    assert one.config == {"model_type": "own:Margin", "config": {}}


def test_a_version_shows_its_components_and_what_names_one_uses_it() -> None:
    shown = view(VERSIONS[1], VERSIONS)
    assert [(each.kind, each.path) for each in shown.components][:2] == [
        ("actor", "mine@2:Watch"),
        ("exec_algorithm", "mine@2:Slices"),
    ]
    assert list(shown.components[0].parameters) == list(EVERY)
    assert view(VERSIONS[1], VERSIONS, has_files=False).components[0].parameters == {}
    assert '"mine@2:' in usage_marks(VERSIONS[1]).values()


def test_two_classes_of_one_name_and_classes_of_elsewhere_are_told() -> None:
    twice = (COMPONENTS[0], found(ComponentKind.ACTOR, "Watch", "other"))
    content = version("3", A, *twice).content
    assert "mine:Watch" in name_errors("mine", content)[0].message
    assert strays(("watch.py",), PackageFindings(components=twice)) == ["other:Watch"]
