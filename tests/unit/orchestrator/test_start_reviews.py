"""What a start would run of packages against what the engine ran live last, and whether it is what somebody looked at."""

import msgspec
import pytest

from flotilla.schemas import package_archive
from flotilla.schemas.catalog import Parameter
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.package import (
    ComponentKind,
    FoundComponent,
    FoundStrategy,
    PackageChange,
    PackageChunk,
    PackageRef,
)
from flotilla.schemas.package_archive import digest_of, pack
from flotilla.schemas.session import SessionSpec
from flotilla.services.orchestrator.engines.core.expected import refuse_unexpected
from flotilla.services.orchestrator.packages.code import PackageCode
from flotilla.services.orchestrator.packages.core.model import Content, Version
from flotilla.services.orchestrator.packages.core.reviews import parameter_changes, review
from tests.unit.orchestrator.makers import NOW, spec

A, B, C = ("a" * 64, "b" * 64, "c" * 64)


def parameter(default: object = 5, **more: object) -> Parameter:
    return Parameter(type="integer", help="h", default=default, **more)  # type: ignore[arg-type]


def strategy(name: str, **parameters: Parameter) -> FoundStrategy:
    return FoundStrategy(
        strategy_path=f"mine:{name}", config_path=f"mine:{name}Config", description="", parameters=parameters
    )


def version(number: str, digest: str, *strategies: FoundStrategy, name: str = "mine") -> Version:
    watch = FoundComponent(
        kind=ComponentKind.ACTOR,
        path="mine:Watch",
        config_path="mine:WatchConfig",
        description="",
        parameters={"every": parameter(int(number))},
    )
    content = Content(
        digest=digest, size_bytes=1, files=("mine.py",), strategies=strategies, components=(watch,)
    )
    return Version(name=name, version=number, content=content, pushed_at=NOW, pushed_by="ada")


OLD = version("1", A, strategy("One", period=parameter(), gone=parameter()), strategy("Two"))
NEW = version(
    "2", B, strategy("One", period=parameter(9), fresh=parameter(None, required=True)), strategy("Three")
)
VERSIONS = (OLD, NEW)
CHANGE = PackageChange(then=OLD.ref, now=NEW.ref, files={"mine.py": "code"}, is_same_code=False)


def runs(*versions: Version, session_id: str = "s2") -> SessionSpec:
    made = spec(session_id)
    plan = msgspec.structs.replace(made.plan, packages=tuple(each.ref for each in versions))
    return msgspec.structs.replace(made, plan=plan)


def test_the_first_time_says_so_and_is_not_as_before() -> None:
    found = review(runs(NEW), None, VERSIONS, {}, trades_money=True)
    assert (found.ran_live, found.is_as_before, found.trades_money) == (None, False, True)
    (one,) = found.packages
    assert (one.package, one.last, one.pushed_by, one.pushed_at) == (NEW.ref, None, "ada", NOW)
    assert (one.added, one.parameters) == ((), ())


def test_the_version_that_it_had_is_as_before_whatever_else_was_pushed() -> None:
    found = review(runs(OLD), runs(OLD, session_id="s1"), VERSIONS, {}, trades_money=True)
    assert (found.ran_live, found.is_as_before) == ("s1", True)
    assert review(runs(), None, VERSIONS, {}, trades_money=True).is_as_before
    renamed = msgspec.structs.replace(OLD, version="7")
    assert review(runs(renamed), runs(OLD), (renamed,), {}, trades_money=True).is_as_before


def test_another_version_comes_with_all_that_is_different() -> None:
    found = review(runs(NEW), runs(OLD, session_id="s1"), VERSIONS, {"mine": CHANGE}, trades_money=True)
    assert not found.is_as_before
    (one,) = found.packages
    assert (one.last, one.change) == (OLD.ref, CHANGE)
    assert (one.added, one.removed) == (("mine_three",), ("mine_two",))
    assert [(each.of, each.parameter, each.change, each.then, each.now) for each in one.parameters] == [
        ("mine:Watch", "every", "default", 1, 2),
        ("mine_one", "fresh", "added", None, None),
        ("mine_one", "gone", "removed", 5, None),
        ("mine_one", "period", "default", 5, 9),
    ]


def test_a_parameter_of_another_range_is_told_and_one_that_is_the_same_is_not() -> None:
    before = version("1", A, strategy("One", same=parameter(), ranged=parameter(min=1)))
    after = version("1", B, strategy("One", same=parameter(), ranged=parameter(min=2)))
    found = [*parameter_changes(before.content, after.content, "mine")]
    assert [(each.parameter, each.change) for each in found] == [("ranged", "other")]


def test_a_package_that_is_new_to_the_engine_and_one_that_goes_are_told() -> None:
    other = version("1", C, strategy("Other"), name="other")
    found = review(runs(other), runs(OLD), (*VERSIONS, other), {}, trades_money=True)
    assert not found.is_as_before
    assert [(each.package.name, each.last) for each in found.packages] == [("other", None)]
    assert found.gone == (OLD.ref,)
    both = review(runs(OLD, other), runs(OLD), (*VERSIONS, other), {}, trades_money=True)
    assert not both.is_as_before


def test_a_version_that_was_removed_since_leaves_parameters_unknown() -> None:
    found = review(runs(NEW), runs(OLD), (NEW,), {}, trades_money=True)
    assert (found.packages[0].last, found.packages[0].parameters, found.packages[0].removed) == (
        OLD.ref,
        (),
        (),
    )


MINE = PackageRef(name="mine", version="2", digest=B)


@pytest.mark.parametrize("expected", [None, {"mine": B}])
def test_what_was_confirmed_or_not_asked_about_is_run(expected: dict[str, str] | None) -> None:
    refuse_unexpected((MINE,), expected)


@pytest.mark.parametrize(
    ("expected", "fields", "words"),
    [
        ({"mine": A}, ["expected_digests.mine"], "mine@2"),
        ({}, ["expected_digests.mine"], "nobody confirmed"),
        ({"mine": B, "other": C}, ["expected_digests.other"], "nothing of this package"),
        ({"other": B}, ["expected_digests.mine", "expected_digests.other"], "mine@2"),
    ],
)
def test_anything_else_is_refused_by_the_package(
    expected: dict[str, str], fields: list[str], words: str
) -> None:
    with pytest.raises(FaultError) as caught:
        refuse_unexpected((MINE,), expected)
    assert caught.value.fault.code == FaultCode.CONFLICT
    assert [each.field for each in caught.value.fault.errors] == fields
    assert words in caught.value.fault.errors[0].message


class Archives:
    """A record of archives, each in one piece."""

    def __init__(self, *archives: bytes) -> None:
        self._archives = {digest_of(each): each for each in archives}

    async def piece(self, digest: str, index: int) -> PackageChunk | None:
        return PackageChunk(digest=digest, index=index, count=1, data=self._archives[digest])


async def test_content_that_the_rules_of_today_refuse_is_compared_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before, after = pack({"mine.py": b"x = 1\n"}), pack({"mine.py": b"x = 2\n"})
    monkeypatch.setattr(package_archive, "_OURS", {"mine"})
    then, now = (
        PackageRef(name="mine", version="1", digest=digest_of(archive)) for archive in (before, after)
    )
    code = PackageCode(Archives(before, after), None)  # type: ignore[arg-type]
    change = await code.change(then, now)
    assert change is not None
    assert change.files == {"mine.py": "code"}
