"""What a start would run of packages, against what the engine ran live last."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flotilla.schemas.catalog import Parameter
from flotilla.schemas.engine import StartReview
from flotilla.schemas.package import PackageChange, PackageRef, ParameterChange, ReviewedPackage
from flotilla.schemas.session import SessionSpec
from flotilla.services.orchestrator.packages.core.model import Content, Version
from flotilla.services.orchestrator.packages.core.offers import template_names


def review(
    spec: SessionSpec,
    last: SessionSpec | None,
    versions: Sequence[Version],
    changes: Mapping[str, PackageChange],
    *,
    trades_money: bool,
) -> StartReview:
    """`last` is what the engine ran when it last traded money, `changes` what is different in each package, by name."""
    before = {each.name: each for each in last.plan.packages} if last else {}
    now = {each.name: each for each in spec.plan.packages}
    return StartReview(
        instance_id=spec.instance_id,
        trades_money=trades_money,
        packages=tuple(
            _reviewed(each, before.get(name), changes.get(name), versions) for name, each in now.items()
        ),
        gone=tuple(each for name, each in before.items() if name not in now),
        ran_live=last.session_id if last else None,
        is_as_before=not now
        or all(name in before and before[name].digest == now[name].digest for name in now),
    )


def parameter_changes(then: Content, now: Content, package: str) -> Iterator[ParameterChange]:
    """The parameters that are not the same in both, of strategies and of what runs beside them that both have."""
    before, after = _offered(then, package), _offered(now, package)
    for of in sorted(before.keys() & after.keys()):
        for name in sorted({*before[of], *after[of]}):
            old, new = before[of].get(name), after[of].get(name)
            if old != new:
                yield ParameterChange(
                    of=of, parameter=name, change=_change(old, new), then=_default(old), now=_default(new)
                )


def _reviewed(
    package: PackageRef, last: PackageRef | None, change: PackageChange | None, versions: Sequence[Version]
) -> ReviewedPackage:
    found = next((each for each in versions if each.ref == package), None)
    made = ReviewedPackage(package=package, last=last, change=change)
    if found is None:
        return made
    then = last and next((each.content for each in versions if each.content.digest == last.digest), None)
    before = _offered(then, package.name) if then else {}
    after = _offered(found.content, package.name)
    return ReviewedPackage(
        package=package,
        pushed_at=found.pushed_at,
        pushed_by=found.pushed_by,
        last=last,
        change=change,
        added=tuple(sorted(after.keys() - before.keys())) if then else (),
        removed=tuple(sorted(before.keys() - after.keys())) if then else (),
        parameters=tuple(parameter_changes(then, found.content, package.name)) if then else (),
    )


def _offered(content: Content, package: str) -> dict[str, Mapping[str, Parameter]]:
    """All that can be chosen of a package, by what it goes by without the version."""
    names = template_names(package, content.strategies)
    found = {name: each.parameters for name, each in zip(names, content.strategies, strict=True)}
    beside = {f"{package}:{each.path.rpartition(':')[2]}": each.parameters for each in content.components}
    return {**found, **beside}


def _change(old: Parameter | None, new: Parameter | None) -> Any:
    if old is None or new is None:
        return "added" if old is None else "removed"
    return "default" if (old.default, old.required) != (new.default, new.required) else "other"


def _default(parameter: Parameter | None) -> Any:
    return parameter.default if parameter is not None else None
