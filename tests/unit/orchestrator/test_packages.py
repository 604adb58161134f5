"""What versions of packages are called, offer, and stand in the way of; and parameters of the kinds that only packages have."""

from typing import Any

import pytest

from flotilla.schemas.backtest import BacktestConfig
from flotilla.schemas.catalog import Parameter
from flotilla.schemas.config import StrategyChoice
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.package import FoundStrategy, ListPackages, PushPackage, draft_version, next_version
from flotilla.services.orchestrator.backtests.core.chosen_strategy import with_version
from flotilla.services.orchestrator.packages.core.model import Content, Removed, Version
from flotilla.services.orchestrator.packages.core.offers import (
    find,
    in_use,
    listed,
    refuse_names,
    removed_of,
    settled,
    template_names,
    view,
    with_packages,
)
from flotilla.services.orchestrator.templates.core.parameters import Known, WrongValue, check
from flotilla.services.orchestrator.templates.core.strategies import packages_of, render_all
from flotilla.services.orchestrator.templates.core.templates import TemplateSet, pinned
from tests.unit.orchestrator.makers import NOW
from tests.unit.orchestrator.test_rendering import template_set

A, B, C = (letter * 64 for letter in "abc")


def strategy(name: str = "Mine") -> FoundStrategy:
    period = Parameter(type="integer", help="h", default=5)
    return FoundStrategy(
        strategy_path=f"mine:{name}",
        config_path=f"mine:{name}Config",
        description="d",
        parameters={"period": period},
    )


def version(number: str, digest: str = A, name: str = "mine", *classes: str, draft: bool = False) -> Version:
    found = tuple(strategy(each) for each in classes or ("Mine",))
    content = Content(digest=digest, size_bytes=1, files=("mine.py",), strategies=found)
    return Version(name=name, version=number, content=content, pushed_at=NOW, is_draft=draft)


def push(digest: str, number: str | None = None, *, name: str = "mine", draft: bool = False) -> PushPackage:
    return PushPackage(name=name, digest=digest, version=number, is_draft=draft)


DRAFT = draft_version(C)
VERSIONS = (version("1"), version("2", B), version(DRAFT, C, draft=True))


def test_one_strategy_goes_by_the_package_and_several_by_their_classes_too() -> None:
    assert template_names("mine", [strategy("EMACross")]) == ("mine",)
    several = [strategy("EMACross"), strategy("MyHTTPThing2")]
    assert template_names("mine", several) == ("mine_ema_cross", "mine_my_http_thing2")


def test_every_version_is_offered_and_the_name_alone_means_the_newest_that_is_no_draft() -> None:
    offered = with_packages(template_set(), VERSIONS).strategies
    assert {name for name in offered if name.startswith("mine")} == {
        "mine",
        "mine@1",
        "mine@2",
        f"mine@{DRAFT}",
    }
    assert offered["mine"] == offered["mine@2"]
    assert "ema_cross" in offered


def test_a_template_file_is_not_replaced_and_the_package_goes_by_its_versions() -> None:
    files = template_set()
    merged = with_packages(files, (version("1", name="ema_cross"),))
    assert merged.strategies["ema_cross"] == files.strategies["ema_cross"]
    assert "ema_cross@1" in merged.strategies
    assert [each.file for each in merged.faults] == ["ema_cross@1"]


@pytest.mark.parametrize(
    ("request_", "number", "is_known"),
    [
        (push(C), "3", False),
        (push(C, "2.0-rc"), "2.0-rc", False),
        (push(A), "1", True),
        (push(A, "1"), "1", True),
        (push(B), "2", True),
        (push(C, draft=True), DRAFT, True),
        (push(A, draft=True), draft_version(A), False),
        (push(A, name="other"), "1", False),
    ],
)
def test_the_same_content_is_the_same_version(request_: PushPackage, number: str, is_known: bool) -> None:
    chosen, known = settled(request_, VERSIONS)
    assert (chosen, known is not None) == (number, is_known)


def test_other_content_under_a_taken_version_is_refused() -> None:
    with pytest.raises(FaultError) as caught:
        settled(push(C, "1"), VERSIONS)
    assert caught.value.fault.code == FaultCode.CONFLICT
    assert caught.value.fault.errors[0].field == "version"


REMOVED = (Removed(name="mine", version="3", digest=A[:-1] + "0", templates=("mine",)),)


@pytest.mark.parametrize(
    ("request_", "number"),
    [
        (push(C), "4"),
        (push(C, name="other"), "1"),
        (push(REMOVED[0].digest), "3"),
        (push(REMOVED[0].digest, "3"), "3"),
        (push(REMOVED[0].digest, "4"), "4"),
        (push(B), "2"),
    ],
)
def test_the_number_of_a_removed_version_is_not_given_again_but_to_the_same_content(
    request_: PushPackage, number: str
) -> None:
    assert settled(request_, VERSIONS, REMOVED)[0] == number


def test_other_content_under_a_removed_version_is_refused() -> None:
    with pytest.raises(FaultError, match="mine@3 was removed") as caught:
        settled(push(C, "3"), VERSIONS, REMOVED)
    assert caught.value.fault.code == FaultCode.CONFLICT
    assert caught.value.fault.errors[0].field == "version"


@pytest.mark.parametrize(
    ("taken", "expected"), [((), "1"), (("1", "3"), "4"), (("1.2", "x", "007"), "1"), (("10", "9"), "11")]
)
def test_the_next_number_follows_the_highest(taken: tuple[str, ...], expected: str) -> None:
    assert next_version(taken) == expected


def test_a_version_of_a_draft_cannot_be_chosen() -> None:
    for number, draft in ((DRAFT, False), ("1", True)):
        with pytest.raises(ValueError, match="draft"):
            push(C, number, draft=draft)


@pytest.mark.parametrize(
    ("name", "classes", "words"),
    [
        ("ema_cross", ("Mine",), "there is a template ema_cross already"),
        ("other", ("AbC", "Ab_C"), "rename a class"),
        ("other", ("A" * 70, "B"), "cannot name a strategy"),
    ],
)
def test_a_name_that_cannot_be_is_refused(name: str, classes: tuple[str, ...], words: str) -> None:
    content = version("1", C, name, *classes).content
    with pytest.raises(FaultError, match=words):
        refuse_names(push(C, name=name), content, {"ema_cross"}, VERSIONS)


def test_a_strategy_of_another_package_keeps_its_name() -> None:
    known = (version("1", B, "mine", "A", "B"),)
    content = version("1", C, "mine_a").content
    with pytest.raises(FaultError, match=r"a strategy of package mine \(version 1\) is called mine_a"):
        refuse_names(push(C, name="mine_a"), content, (), known)
    refuse_names(push(C, name="mine_a", draft=True), content, (), known)


OLD_B = version("1", B, "mine", "A", "B")


@pytest.mark.parametrize(
    ("request_", "classes", "versions", "removed"),
    [
        (push(C, name="mine_b"), ("Mine",), (OLD_B, version("2", A, "mine", "A")), ()),
        (
            push(C, name="mine"),
            ("A", "B"),
            (version("1", A, "mine_b"), version("2", B, "mine_b", "X", "Y")),
            (),
        ),
        (push(C, name="mine_b"), ("Mine",), (version("2", A, "mine", "A"),), (removed_of(OLD_B),)),
    ],
)
def test_what_a_strategy_of_any_version_of_another_package_is_or_was_called_is_refused(
    request_: PushPackage, classes: tuple[str, ...], versions: Any, removed: Any
) -> None:
    content = version("1", C, request_.name, *classes).content
    with pytest.raises(FaultError, match=r"of package \w+ \(version 1\) is called mine_b"):
        refuse_names(request_, content, (), versions, removed)


def test_what_is_stored_names_the_version_that_was_meant() -> None:
    templates = with_packages(template_set(), VERSIONS)
    assert [pinned(name, templates) for name in ("mine", "mine@1", "ema_cross", "absent")] == [
        "mine@2",
        "mine@1",
        "ema_cross",
        "absent",
    ]
    chosen = BacktestConfig(
        start_date="2000-01-01", end_date="2001-01-01", instruments=("SPX.SIM",), strategy="mine"
    )
    assert with_version(chosen, templates).strategy == "mine@2"


def rendered(*names: str) -> Any:
    templates = with_packages(TemplateSet(), VERSIONS)
    found, errors = render_all([StrategyChoice(template=name) for name in names], templates, None, {})
    assert errors == []
    return found


def test_what_is_rendered_names_its_package_and_one_process_takes_one_version() -> None:
    packages, errors = packages_of(rendered("mine@1", "mine@1"), "config.strategies")
    assert ([each.digest for each in packages], errors) == ([A], [])
    _, errors = packages_of(rendered("mine", "mine@1"), "config.strategies")
    assert "one version of a package" in errors[0].message


def test_a_draft_is_found_by_the_beginning_of_its_digest() -> None:
    assert find("mine", f"sha256-{C[:12]}", VERSIONS).is_draft
    assert VERSIONS[2].ref.label == f"mine@sha256-{C[:12]}"
    assert VERSIONS[1].ref.label == "mine@2"
    for other in (f"sha256-{A[:12]}", f"sha256-{C[:11]}"):
        with pytest.raises(FaultError, match="has no version"):
            find("mine", other, VERSIONS)


def test_drafts_are_listed_when_they_are_asked_for_and_only_then() -> None:
    known = (version(draft_version(A), A, "zeta", draft=True), *VERSIONS, version("1", A, "zeta"))
    listings = {
        ListPackages(): ["mine@2", "zeta@1"],
        ListPackages(name="mine"): ["mine@2", "mine@1"],
        ListPackages(drafts=True): [f"mine@sha256-{C[:12]}", f"zeta@sha256-{A[:12]}"],
        ListPackages(name="zeta", drafts=True): [f"zeta@sha256-{A[:12]}"],
    }
    for asked, expected in listings.items():
        assert [each.ref.label for each in listed(asked, known)] == expected


def test_an_absent_version_is_told_with_those_there_are() -> None:
    with pytest.raises(FaultError, match="no version 7; there are 1, 2"):
        find("mine", "7", VERSIONS)
    with pytest.raises(FaultError, match="no package absent"):
        find("absent", None, VERSIONS)
    assert find("mine", None, VERSIONS).version == "2"
    assert find("mine", DRAFT, VERSIONS).is_draft
    assert [view(each, VERSIONS).is_newest for each in VERSIONS] == [False, True, False]


def of(kind: str, **more: Any) -> Parameter:
    return Parameter(type=kind, help="h", **more)  # type: ignore[arg-type]


SIDE = of("enum", choices=("BUY", "SELL"), codes={"BUY": 1, "SELL": 2})
WINDOW = of("object", fields={"days": of("integer", default=3), "share": of("decimal", required=True)})


@pytest.mark.parametrize(
    ("parameter", "value", "expected"),
    [
        (SIDE, "SELL", 2),
        (of("enum", choices=("a", "b")), "b", "b"),
        (of("enum", choices=("1", "2"), codes={"1": 1, "2": 2}), 2, 2),
        (of("date"), "2020-01-31", "2020-01-31"),
        (of("datetime"), "2020-01-31T09:30:00Z", "2020-01-31T09:30:00Z"),
        (of("duration"), "PT5M", "PT5M"),
        (of("list", items=SIDE), ["BUY", "SELL"], [1, 2]),
        (of("map", items=of("decimal")), {"a": 1.5}, {"a": "1.5"}),
        (WINDOW, {"share": "0.5"}, {"days": 3, "share": "0.5"}),
        (of("number", above=0), 0.1, 0.1),
        (of("map", items=of("any")), {"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}),
    ],
)
def test_values_of_every_kind_become_what_the_class_takes(
    parameter: Parameter, value: Any, expected: Any
) -> None:
    assert check(parameter, value, None) == expected


@pytest.mark.parametrize(
    ("parameter", "value", "words"),
    [
        (SIDE, "HOLD", "must be one of BUY, SELL"),
        (SIDE, 1.5, "by name"),
        (of("date"), "yesterday", "a date such as"),
        (of("datetime"), 5, "a moment such as"),
        (of("duration"), "5 min", "a duration such as"),
        (of("list", items=of("integer")), "5", "must be a list"),
        (of("list", items=of("integer")), [1, "x"], r"\[1\] must be an integer"),
        (of("list", items=of("instrument")), ["ACME.SIM"], r"\[0\] ACME.SIM is not in the data catalog"),
        (of("map", items=of("number")), {"a": "x"}, r"\.a must be a number"),
        (WINDOW, {}, r"\.share is required"),
        (WINDOW, {"share": 1, "oops": 2}, "no field oops"),
        (WINDOW, 5, "must be an object"),
        (of("number", above=0), 0, "greater than 0"),
        (of("integer", below=10), 10, "less than 10"),
    ],
)
def test_a_value_that_does_not_fit_is_told_by_its_place(parameter: Parameter, value: Any, words: str) -> None:
    known = Known(instruments=frozenset({"SPX.SIM"}), bar_types=frozenset())
    with pytest.raises(WrongValue, match=words):
        check(parameter, value, known)


def test_of_many_that_name_a_version_the_first_are_told_and_how_many_more() -> None:
    by = [f"b{number}" for number in range(1, 8)]
    assert "named by b1, b2, b3, b4, b5 and 2 more;" in in_use("mine@1", by)
    assert "named by b1, b2;" in in_use("mine@1", by[:2])
