"""Packages: people's own strategies, and what runs beside them, as content named by a digest; and what a check found in it."""

import re
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from flotilla.schemas.catalog import Parameter
from flotilla.schemas.code_changes import FileChange
from flotilla.schemas.fault import FieldError
from flotilla.schemas.ids import Name, PackageVersion, RequestId

CHUNK_BYTES: Final = 128 << 10
"""Of an archive in one message; JSON makes a third more of it, and a request has 256 KiB at most."""
MOST_BYTES: Final = 8 << 20
"""Of one archive, and of all that one engine or trial takes."""
MOST_CHUNKS: Final = MOST_BYTES // CHUNK_BYTES
MOST_WHEEL_BYTES: Final = 128 << 20
"""Of all wheels of one package, and of all that one engine or trial is started with."""
MOST_UNPACKED_BYTES: Final = 512 << 20
"""Of all their files."""
MOST_PIECES: Final = MOST_WHEEL_BYTES // CHUNK_BYTES
_DRAFT: Final = "sha256-"
DRAFT_SHOWN: Final = 12
"""So much of a draft's digest is shown, and does to name it."""
_VERSION: Final = re.compile(r"\A[1-9][0-9]{0,8}\Z")

Digest: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"\A[0-9a-f]{64}\Z",
        description="The SHA-256 of a package's archive, or of a wheel, in hexadecimal.",
    ),
]


class ComponentKind(StrEnum):
    """What a package can bring beside strategies, as NautilusTrader calls it. `data` is a class of data of its own, to publish."""

    ACTOR = "actor"
    EXEC_ALGORITHM = "exec_algorithm"
    SIMULATION_MODULE = "simulation_module"
    FILL_MODEL = "fill_model"
    FEE_MODEL = "fee_model"
    LATENCY_MODEL = "latency_model"
    MARGIN_MODEL = "margin_model"
    DATA = "data"


class PackageRef(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A package as what is run names it: the digest says what it is, name and version what people called it."""

    name: Name
    version: PackageVersion
    digest: Digest

    @property
    def label(self) -> str:
        """As people are told of it: `mine@2`, a draft by the beginning of its digest."""
        is_of_digest = self.version == draft_version(self.digest)
        return f"{self.name}@{draft_version(self.digest[:DRAFT_SHOWN]) if is_of_digest else self.version}"


class UploadChunk(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Hands over one of `count` pieces of an archive or a wheel, all but the last of CHUNK_BYTES. The same piece again changes nothing."""

    digest: Digest
    index: Annotated[int, Meta(ge=0, lt=MOST_PIECES)]
    count: Annotated[int, Meta(ge=1, le=MOST_PIECES)]
    data: Annotated[bytes, Meta(min_length=1, max_length=CHUNK_BYTES)]
    request_id: RequestId | None = None


class ChunkKept(msgspec.Struct, frozen=True, kw_only=True):
    """The piece is kept. `is_known`: the whole was checked before, and no more of it is needed."""

    digest: Digest
    index: int
    is_known: bool = False


class PushPackage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for uploaded content to be checked, and kept under a name and a version: the next free number when that is null.

    `is_draft`: it gets no version but its digest, is not listed, and is never what its name alone means.
    """

    name: Name
    digest: Digest
    version: PackageVersion | None = None
    is_draft: bool = False
    request_id: RequestId | None = None

    def __post_init__(self) -> None:
        if self.version is not None and (self.is_draft or self.version.startswith(_DRAFT)):
            raise ValueError(f"`version` of a draft is its digest, and no other begins with {_DRAFT}")


class Wheel(msgspec.Struct, frozen=True, kw_only=True, order=True, forbid_unknown_fields=True):
    """A wheel by its SHA-256. `name` is normalized as package indexes do it, `file` what the wheel is called; sizes are those of the
    wheel, and of its files.
    """

    name: Annotated[str, Meta(pattern=r"\A[a-z0-9]+(-[a-z0-9]+)*\Z", max_length=128)]
    version: Annotated[str, Meta(min_length=1, max_length=128)]
    file: Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_.+!-]+\.whl\Z", max_length=255)]
    digest: Digest
    size_bytes: Annotated[int, Meta(ge=1, le=MOST_WHEEL_BYTES)]
    unpacked_bytes: Annotated[int, Meta(ge=0, le=MOST_UNPACKED_BYTES)]

    @property
    def label(self) -> str:
        """As people are told of it: `tabulate 0.9.0`."""
        return f"{self.name} {self.version}"


class WhichPython(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks what packages find where the engines of a host run."""


class EnginePython(msgspec.Struct, frozen=True, kw_only=True):
    """Where packages run. `environment` are the markers of PEP 508, `tags` the wheels that run there, the best first (PEP 425), `installed`
    the versions of what is there, by normalized name.
    """

    environment: dict[str, str]
    tags: tuple[str, ...]
    installed: dict[str, str]

    @property
    def label(self) -> str:
        """As people are told of it: `CPython 3.13 on Linux x86_64`."""
        said = ("platform_python_implementation", "python_version", "platform_system", "platform_machine")
        kind, version, system, machine = (self.environment.get(each, "") for each in said)
        return f"{kind} {version} on {system} {machine}"


class PackageStrategy(msgspec.Struct, frozen=True, kw_only=True):
    """A strategy of a package. `template` is what it goes by; with `@version` behind it is this one whatever is pushed later."""

    template: Name
    strategy_class: str
    description: str = ""


class PackageComponent(msgspec.Struct, frozen=True, kw_only=True):
    """What a package has beside strategies. `path` is what it goes by, `mine@2:MyActor`; without the version it is the newest.

    `parameters` are left out of lists of packages, as files are.
    """

    kind: ComponentKind
    path: str
    description: str = ""
    parameters: dict[str, Parameter] = {}


class PackageView(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a package as it is kept. `notes` are what its check could not make sure of, `wheels` what it needs besides what engines
    have.
    """

    name: Name
    version: PackageVersion
    digest: Digest
    size_bytes: int
    files: tuple[str, ...]
    pushed_at: datetime
    strategies: tuple[PackageStrategy, ...]
    pushed_by: str = ""
    is_draft: bool = False
    is_newest: bool = False
    notes: tuple[str, ...] = ()
    components: tuple[PackageComponent, ...] = ()
    wheels: tuple[Wheel, ...] = ()


class ListPackages(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for the packages: the newest version of each, or all versions of one; with `drafts` for what has no version instead."""

    name: Name | None = None
    drafts: bool = False


class PackageList(msgspec.Struct, frozen=True, kw_only=True):
    """Packages by name, of one the newest first; their files and wheels are left out."""

    packages: tuple[PackageView, ...]


class WhichPackage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names a version of a package, the newest when null; a draft also by the beginning of its digest: `sha256-` and 12 digits."""

    name: Name
    version: PackageVersion | None = None


class RemovePackage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for a version to be forgotten. One that an engine or a backtest on record names is kept unless `force`, and then goes on
    being there for those by its digest.
    """

    name: Name
    version: PackageVersion
    force: bool = False
    request_id: RequestId | None = None


class PackageRemoved(msgspec.Struct, frozen=True, kw_only=True):
    """The version has no name any more. `used_by` is what names its content, which is then still there."""

    name: Name
    version: PackageVersion
    digest: Digest
    used_by: tuple[str, ...] = ()


class FetchPackage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for one piece of an archive, or of a wheel."""

    digest: Digest
    index: Annotated[int, Meta(ge=0, lt=MOST_PIECES)] = 0


class PackageChunk(msgspec.Struct, frozen=True, kw_only=True):
    """One of `count` pieces. Whoever has them all compares their SHA-256 with the digest."""

    digest: Digest
    index: int
    count: int
    data: bytes


class CheckPackage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks what is in uploaded content; it is imported in a process that is thrown away."""

    digest: Digest


class FoundStrategy(msgspec.Struct, frozen=True, kw_only=True):
    """A strategy class with its config class, both as `module:Class`, and the typed parameters that the config class has."""

    strategy_path: str
    config_path: str
    description: str
    parameters: dict[str, Parameter]


class FoundComponent(msgspec.Struct, frozen=True, kw_only=True):
    """A class that runs beside strategies, as FoundStrategy has strategies. Margin models and data have no config class."""

    kind: ComponentKind
    path: str
    config_path: str | None
    description: str
    parameters: dict[str, Parameter]


class PackageFindings(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with a package, or what it holds; `notes` are what could not be made sure of."""

    problems: tuple[FieldError, ...] = ()
    strategies: tuple[FoundStrategy, ...] = ()
    notes: tuple[str, ...] = ()
    components: tuple[FoundComponent, ...] = ()


class PackageChange(msgspec.Struct, frozen=True, kw_only=True):
    """How two versions of a package differ: the files that are not the same, by name, at most 200, and how many more there are.

    `is_same_code` when all of it is comments, docstrings and formatting of Python.
    """

    then: PackageRef
    now: PackageRef
    files: dict[str, FileChange]
    is_same_code: bool
    more_files: int = 0


class ParameterChange(msgspec.Struct, frozen=True, kw_only=True):
    """A parameter that came, went, or is another: `default` of then and now, null where there is none."""

    of: str
    parameter: str
    change: Literal["added", "removed", "default", "other"]
    then: Any = None
    now: Any = None


class ReviewedPackage(msgspec.Struct, frozen=True, kw_only=True):
    """A package as a start would run it, against what the engine ran live last. `change` is null where that is the same content, where there
    was none, and where the content of then is gone. `added` and `removed` are the names that it offers now and did not, and the other way
    round; `parameters` are those of what both offer that are not the same.
    """

    package: PackageRef
    pushed_at: datetime | None = None
    pushed_by: str = ""
    last: PackageRef | None = None
    change: PackageChange | None = None
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    parameters: tuple[ParameterChange, ...] = ()


def too_much(sizes: Sequence[tuple[str, int]]) -> str | None:
    """What is wrong with packages of these labels and sizes (bytes) in one process; None when nothing is."""
    if sum(size for _, size in sizes) <= MOST_BYTES:
        return None
    each = ", ".join(f"{label} ({size / (1 << 20):.1f} MiB)" for label, size in sizes)
    return f"{each}: more than {MOST_BYTES >> 20} MiB together, and one engine or trial takes no more"


def draft_version(digest: str) -> str:
    """The version of content that has no other."""
    return f"{_DRAFT}{digest}"


def is_beginning(version: str) -> bool:
    """True for so much of a draft's version that it names one."""
    return version.startswith(_DRAFT) and len(version) >= len(_DRAFT) + DRAFT_SHOWN


def is_draft(chosen: str) -> bool:
    """True for `name@version` with the version of a draft."""
    return (split_name(chosen)[1] or "").startswith(_DRAFT)


def next_version(taken: tuple[str, ...]) -> str:
    """The number after the highest of those that are one: 1 where there is none."""
    return str(1 + max((int(one) for one in taken if _VERSION.match(one)), default=0))


def split_name(chosen: str) -> tuple[str, str | None]:
    """Name and version of `name@version`; None where there is no version."""
    name, at, version = chosen.partition("@")
    return name, version if at else None
