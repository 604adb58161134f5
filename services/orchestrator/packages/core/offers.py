"""What the versions of packages offer: their strategies as templates, what runs beside them, and what stands in a new one's way."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from flotilla.schemas.catalog import TemplateFault
from flotilla.schemas.fault import FaultCode, FaultError, FieldError, fault, invalid
from flotilla.schemas.ids import NAME_PATTERN
from flotilla.schemas.package import (
    FoundStrategy,
    ListPackages,
    PackageComponent,
    PackageFindings,
    PackageStrategy,
    PackageView,
    PushPackage,
    draft_version,
    is_beginning,
    next_version,
)
from flotilla.schemas.package_archive import modules_of
from flotilla.services.orchestrator.packages.core.model import Content, Removed, Version
from flotilla.services.orchestrator.templates.core.templates import (
    OfferedComponent,
    PackageTemplate,
    TemplateSet,
)

_NAME: Final = re.compile(NAME_PATTERN)
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NAMED: Final = 5
"""Of those that name a version; the others are counted."""


def in_use(label: str, used_by: Sequence[str]) -> str:
    """Why a version is not taken away, and what becomes of it by force."""
    more = f" and {len(used_by) - _NAMED:,} more" if len(used_by) > _NAMED else ""
    return f"{label} is named by {', '.join(used_by[:_NAMED])}{more}; by force it loses its name, and its content stays for those"


def template_names(package: str, strategies: Sequence[FoundStrategy]) -> tuple[str, ...]:
    """What the strategies of a package are called: as the package where it has one, else with the class behind, `mine_ema_cross`."""
    if len(strategies) == 1:
        return (package,)
    return tuple(f"{package}_{_HUMP.sub('_', _class(each)).lower()}" for each in strategies)


def name_errors(package: str, content: Content) -> list[FieldError]:
    """What keeps its strategies, and what runs beside them, from being called as they would be."""
    names = template_names(package, content.strategies)
    twice = sorted({name for name in names if names.count(name) > 1})
    errors = [
        FieldError("digest", f"two of its strategies would be called {name}: rename a class")
        for name in twice
    ]
    classes = [each.path.rpartition(":")[2] for each in content.components]
    errors += [
        FieldError("digest", f"two of its classes would be called {package}:{name}: rename one")
        for name in sorted({name for name in classes if classes.count(name) > 1})
    ]
    wrong = sorted({name for name in names if not _NAME.match(name)})
    return errors + [
        FieldError("name", f"{name!r} cannot name a strategy: lower case letters, digits and '_', at most 63")
        for name in wrong
    ]


def strays(files: Collection[str], found: PackageFindings) -> list[str]:
    """Classes that are said to be a package's and are of no module of it: what is checked may have written its own answer."""
    modules = {*modules_of(files)}
    paths = [each.strategy_path for each in found.strategies] + [each.path for each in found.components]
    return [path for path in paths if path.partition(":")[0] not in modules]


def newest(versions: Sequence[Version]) -> dict[str, Version]:
    """The last version of each package that is no draft; `versions` are in the order in which they were pushed."""
    return {each.name: each for each in versions if not each.is_draft}


def with_packages(files: TemplateSet, versions: Sequence[Version]) -> TemplateSet:
    """The templates of files, with those of packages beside them: each by `name@version`, the newest by its name alone too.

    A file is not replaced: a package of the same name is a fault then, and goes by its versions only.
    """
    offered: dict[str, Any] = {}
    components: dict[str, OfferedComponent] = {}
    faults: list[TemplateFault] = []
    latest = newest(versions)
    for version in versions:
        for place, component in components_of(version):
            components[f"{version.name}@{version.version}:{place}"] = component
            if latest.get(version.name) is version:
                components[f"{version.name}:{place}"] = component
        for name, template in templates_of(version):
            offered[f"{name}@{version.version}"] = template
            if latest.get(version.name) is not version:
                continue
            if name in files.strategies:
                text = f"its name, {name}, is that of a template's file"
                file = f"{version.name}@{version.version}"
                faults.append(TemplateFault(file=file, kind="strategy", message=text))
            else:
                offered[name] = template
    return msgspec.structs.replace(
        files,
        strategies={**files.strategies, **offered},
        faults=(*files.faults, *faults),
        components=components,
    )


def components_of(version: Version) -> Iterator[tuple[str, OfferedComponent]]:
    """What runs beside strategies of one version, by the name of its class."""
    for each in version.content.components:
        yield each.path.rpartition(":")[2], OfferedComponent(found=each, package=version.ref)


def templates_of(version: Version) -> Iterator[tuple[str, PackageTemplate]]:
    """The templates of one version, by name."""
    found = version.content.strategies
    for name, each in zip(template_names(version.name, found), found, strict=True):
        yield (
            name,
            PackageTemplate(
                name=name,
                description=each.description or f"{_class(each)} of package {version.name}",
                strategy_class=_class(each),
                strategy_path=each.strategy_path,
                config_path=each.config_path,
                config={field: f"{{{field}}}" for field in each.parameters},
                parameters=each.parameters,
                package=version.ref,
            ),
        )


def removed_of(version: Version) -> Removed:
    """What stays of a version that is removed."""
    return Removed(
        name=version.name,
        version=version.version,
        digest=version.content.digest,
        templates=template_names(version.name, version.content.strategies),
    )


def settled(
    request: PushPackage, versions: Sequence[Version], removed: Sequence[Removed] = ()
) -> tuple[str, Version | None]:
    """The version that a push is to have, and what is on record where it changes nothing. Raises FaultError `conflict`.

    What was removed stays taken: only the same content comes back under it.
    """
    named = [each for each in versions if each.name == request.name]
    same = [each for each in named if each.content.digest == request.digest]
    if request.is_draft:
        version = draft_version(request.digest)
        return version, next((each for each in same if each.is_draft), None)
    released = [each for each in same if not each.is_draft]
    gone = [each for each in removed if each.name == request.name]
    if request.version is None:
        if released:
            return released[-1].version, released[-1]
        if back := [each.version for each in gone if each.digest == request.digest]:
            return back[-1], None
        taken_before = [each.version for each in gone]
        return next_version((*(each.version for each in named), *taken_before)), None
    if was := [each for each in gone if each.version == request.version and each.digest != request.digest]:
        raise _was_taken(was[0])
    taken = next((each for each in named if each.version == request.version), None)
    if taken is None:
        return request.version, None
    if taken.content.digest == request.digest:
        return taken.version, taken
    raise _taken(taken)


def refuse_names(
    request: PushPackage,
    content: Content,
    files: Collection[str],
    versions: Sequence[Version],
    removed: Sequence[Removed] = (),
) -> None:
    """Raises FaultError `invalid` when strategies of the package would be called as something else is, or as one of any version of
    another package is or was: `mine_b@1` means one thing. A draft is in nobody's way.
    """
    errors = name_errors(request.name, content)
    if not request.is_draft:
        others = _called(versions, removed, but=request.name)
        for name in template_names(request.name, content.strategies):
            if name in files:
                errors.append(FieldError("name", f"there is a template {name} already: choose another name"))
            elif name in others:
                text = f"a strategy of {others[name]} is called {name}: choose another name"
                errors.append(FieldError("name", text))
    if errors:
        raise invalid(*errors)


def _called(versions: Sequence[Version], removed: Sequence[Removed], but: str) -> dict[str, str]:
    """What strategies of all packages but one are or were called, each with the last version that has it."""
    kept = [removed_of(each) for each in versions if not each.is_draft]
    return {
        name: f"package {each.name} (version {each.version})"
        for each in (*removed, *kept)
        if each.name != but
        for name in each.templates
    }


def view(version: Version, versions: Sequence[Version], *, has_files: bool = True) -> PackageView:
    """The version as people see it."""
    content = version.content
    return PackageView(
        name=version.name,
        version=version.version,
        digest=content.digest,
        size_bytes=content.size_bytes,
        files=content.files if has_files else (),
        pushed_at=version.pushed_at,
        pushed_by=version.pushed_by,
        is_draft=version.is_draft,
        is_newest=newest(versions).get(version.name) is version,
        notes=content.notes,
        wheels=content.wheels if has_files else (),
        strategies=tuple(
            PackageStrategy(
                template=name, strategy_class=template.strategy_class, description=template.description
            )
            for name, template in templates_of(version)
        ),
        components=tuple(
            PackageComponent(
                kind=each.found.kind,
                path=f"{version.name}@{version.version}:{name}",
                description=each.found.description,
                parameters=each.found.parameters if has_files else {},
            )
            for name, each in components_of(version)
        ),
    )


def listed(request: ListPackages, versions: Sequence[Version]) -> list[Version]:
    """Those that are asked for: by name, of one the newest first."""
    latest = newest(versions)
    if request.name is None and not request.drafts:
        return [latest[name] for name in sorted(latest)]
    found = [
        each
        for each in reversed(versions)
        if request.name in (None, each.name) and each.is_draft == request.drafts
    ]
    return sorted(found, key=lambda each: each.name)


def find(name: str, version: str | None, versions: Sequence[Version]) -> Version:
    """The version meant, a draft also by the beginning of its digest. Raises FaultError `not_found` naming those there are."""
    named = [each for each in versions if each.name == name and not (version is None and each.is_draft)]
    found = [each for each in named if version in (None, each.version)]
    if version is not None and is_beginning(version):
        found = found or [each for each in named if each.is_draft and each.version.startswith(version)]
    if found:
        return found[-1]
    there = ", ".join(each.version for each in named if not each.is_draft) or "none"
    what = (
        f"no package {name}"
        if version is None
        else f"package {name} has no version {version}; there are {there}"
    )
    raise fault(FaultCode.NOT_FOUND, what)


def usage_marks(version: Version) -> Mapping[str, str]:
    """What stands in a document that uses the version: its digest where it was planned, its names where it was asked for."""
    return {
        "digest": version.content.digest,
        "component": f'"{version.name}@{version.version}:',
        **{name: f'"{name}@{version.version}"' for name, _ in templates_of(version)},
    }


def _was_taken(removed: Removed) -> FaultError:
    text = (
        f"{removed.name}@{removed.version} was removed, and had other content (digest {removed.digest[:12]}): what is stored may "
        "still name it, choose another"
    )
    return fault(FaultCode.CONFLICT, text, FieldError("version", text))


def _taken(taken: Version) -> FaultError:
    text = (
        f"{taken.name}@{taken.version} is other content (digest {taken.content.digest[:12]}), pushed "
        f"{taken.pushed_at:%Y-%m-%d %H:%M} UTC: a version stays what it is, choose another"
    )
    return fault(FaultCode.CONFLICT, text, FieldError("version", text))


def _class(found: FoundStrategy) -> str:
    return found.strategy_path.rpartition(":")[2]
