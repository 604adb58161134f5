"""From a session's specification, or a plan to check, to the container that Docker is asked for, hardened. Pure."""

import math
from pathlib import Path
from typing import Any, Final

import msgspec

from flotilla.schemas.package import MOST_UNPACKED_BYTES
from flotilla.schemas.session import SessionSpec
from flotilla.services.supervisor.core import names, seccomp
from flotilla.services.supervisor.core.facts import spec_hash

USER: Final = "65532:65532"
HEARTBEAT_FILE: Final = "/run/flotilla/heartbeat"
ENGINE_FOLDERS: Final = ("/tmp", "/dev")  # noqa: S108 - the container's own tmpfs
"""Not the one with the heartbeat file, and not /proc, where a process says how soon it is to die when memory runs out."""
TMPFS: Final = "rw,noexec,nosuid,nodev,size={mib}m,mode=1777"
TMPFS_MIB: Final = 64
SLOT_MIB: Final = 16
"""More for each trial that a worker runs at once: it unpacks packages of 8 MiB at most, whose files take whole pages each."""
HEARTBEAT_TMPFS: Final = "rw,noexec,nosuid,nodev,size=64k,mode=1777"
WHEELS_FOLDER: Final = "/run/flotilla-wheels"
WHEELS_TMPFS: Final = "rw,exec,nosuid,nodev,size={mib}m,mode=1777"
"""Native code of wheels is loaded from there, so it cannot be noexec. The sidecar writes there, and what it forks cannot."""
WHEELS_MIB: Final = (MOST_UNPACKED_BYTES >> 20) + 128
"""Files take whole pages each."""
PIDS: Final = 256
FLUSH_S: Final = 12
"""What a sidecar may take after its engine ended to get the last events out when somebody stops its container by hand.

It would try for 120 s. But from outside one that delivers cannot be told from one that is stuck, whose engine trades on.
"""
_SECOND: Final = 1_000_000_000
_ENV: Final = (
    "HOME=/tmp",
    "TMPDIR=/tmp",
    "PYTHONDONTWRITEBYTECODE=1",
    "PYTHONUNBUFFERED=1",
    "MALLOC_ARENA_MAX=2",
    f"FLOTILLA_HEARTBEAT_FILE={HEARTBEAT_FILE}",
    f"FLOTILLA_ENGINE_FOLDERS={':'.join(ENGINE_FOLDERS)}",
    f"FLOTILLA_WHEELS_FOLDER={WHEELS_FOLDER}",
)


class ContainerProfile(msgspec.Struct, frozen=True, kw_only=True):
    """What all engine containers of a host have in common.

    `command` overrides the image's own, `check_command` is what checks a plan, `catalog_command` what reads and changes the catalog. `egress` is the second network of engines that need
    venues. `catalog` is a path of the Docker host, or the name of a volume; empty mounts none.
    """

    owner: str
    host: str
    image: str
    network: str
    egress: str = "flotilla-egress"
    command: tuple[str, ...] = ()
    check_command: tuple[str, ...] = ("python", "-m", "flotilla.engine_sidecar.checking")
    catalog_command: tuple[str, ...] = ("python", "-m", "flotilla.engine_sidecar.catalog.questions")
    catalog: str = ""
    catalog_target: str = "/app/data"


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """CPUs and memory, of a host or for a container."""

    cpus: float
    memory_bytes: int

    def within(self, host: "Room") -> "Room":
        """No more than the host has: Docker refuses more CPUs, and more memory than there is limits nothing. Zero is not known."""
        return Room(
            cpus=min(self.cpus, max(host.cpus, 1.0)),
            memory_bytes=min(self.memory_bytes, host.memory_bytes or self.memory_bytes),
        )


CHECK_ROOM: Final = Room(cpus=1.0, memory_bytes=(1 << 30) + MOST_UNPACKED_BYTES)
"""For NautilusTrader and the classes of one plan, and the wheels that packages need."""
IMPORT_ROOM: Final = Room(cpus=1.0, memory_bytes=2 << 30)
"""For an import, which takes less than half of it unless it has to sort."""


def container_config(
    spec: SessionSpec,
    profile: ContainerProfile,
    *,
    host: Room,
    has_seccomp: bool = True,
    attached: tuple[str, ...] = (),
) -> dict[str, Any]:
    """The body of Docker's `POST /containers/create` for a session; what it may use is clamped to the host.

    `attached` are folders of the host that links in its catalog lead into: they are seen at the same paths, and only read.
    Without `has_seccomp` it has no profile of system calls: a Docker engine that cannot keep one starts nothing that asks for it.
    """
    room = Room(cpus=spec.cpus, memory_bytes=spec.memory_bytes).within(host)
    slots = spec.worker.slots if spec.worker is not None else 0
    config: dict[str, Any] = {
        **_process(profile),
        "Labels": _labels(spec, profile),
        "StopSignal": "SIGTERM",
        "StopTimeout": math.ceil(spec.stop_timeout_s) + FLUSH_S,
        "Healthcheck": _healthcheck(spec.boot_timeout_s),
        "HostConfig": _host_config(profile, room, profile.network, has_seccomp=has_seccomp, slots=slots),
    }
    config["HostConfig"]["Mounts"] += [_mount("bind", path, path) for path in attached]
    if profile.command:
        config["Entrypoint"] = list(profile.command)
    return config


def networks_besides(spec: SessionSpec, profile: ContainerProfile) -> tuple[str, ...]:
    """The networks to connect after the creation, for which Docker takes one only."""
    return (profile.egress,) if spec.has_egress else ()


def check_config(
    profile: ContainerProfile, *, host: Room, timeout_s: float, has_seccomp: bool = True
) -> dict[str, Any]:
    """The same for the check of a plan: as hardened, without any network, and it ends by itself although we might not.

    It carries a label of its own, so that nobody takes it for a session.
    """
    return {
        **_process(profile),
        "Labels": {names.CHECK: profile.owner},
        "Entrypoint": ["timeout", "-s", "KILL", str(math.ceil(timeout_s)), *profile.check_command],
        "HostConfig": _host_config(profile, CHECK_ROOM.within(host), "none", has_seccomp=has_seccomp),
    }


def catalog_config(
    profile: ContainerProfile,
    *,
    host: Room,
    timeout_s: float,
    has_seccomp: bool = True,
    attached: tuple[str, ...] = (),
    writer: str | None = None,
) -> dict[str, Any]:
    """The same for a look at the catalog, or as the account `writer` for a change of it: only then can it be written."""
    config = check_config(profile, host=host, timeout_s=timeout_s, has_seccomp=has_seccomp)
    config["Entrypoint"] = [*config["Entrypoint"][:4], *profile.catalog_command]
    mounts = config["HostConfig"]["Mounts"]
    if writer is not None:
        config["User"] = writer
        room = IMPORT_ROOM.within(host).memory_bytes
        config["HostConfig"] |= {"Memory": room, "MemorySwap": room}
        mounts[0] = {**mounts[0], "ReadOnly": False}
    mounts += [_mount("bind", path, path) for path in attached]
    return config


def _process(profile: ContainerProfile) -> dict[str, Any]:
    return {
        "Image": profile.image,
        "User": USER,
        "WorkingDir": "/",
        "Env": list(_ENV),
        "OpenStdin": True,
        "StdinOnce": True,
        "AttachStdin": True,
        "Tty": False,
    }


def _labels(spec: SessionSpec, profile: ContainerProfile) -> dict[str, str]:
    return {
        names.OWNER: profile.owner,
        names.HOST: profile.host,
        names.INSTANCE: spec.instance_id,
        names.SESSION: spec.session_id,
        names.GENERATION: str(spec.generation),
        names.SPEC: spec_hash(spec),
        names.ENGINE_TYPE: spec.engine_type,
        names.TRADING_MODE: spec.trading_mode,
        **({names.WORKER: "true"} if spec.worker is not None else {}),
        **{
            f"{names.LABEL}{key}": value for key, value in (spec.config.labels if spec.config else {}).items()
        },
    }


def _healthcheck(start_period_s: float) -> dict[str, Any]:
    # Of the shell alone, which costs less CPU a check than Python, and by a clock that nobody sets: see bus/alive.py. The bus
    # heartbeat is what the fleet goes by.
    fresh = (
        f"read now rest </proc/uptime && read beat <{HEARTBEAT_FILE} && [ $(( ${{now%.*}} - beat )) -lt 60 ]"
    )
    return {
        "Test": ["CMD-SHELL", fresh],
        "Interval": 30 * _SECOND,
        "Timeout": 5 * _SECOND,
        "StartPeriod": math.ceil(start_period_s) * _SECOND,
        "Retries": 3,
    }


def _host_config(
    profile: ContainerProfile, room: Room, network: str, *, has_seccomp: bool, slots: int = 0
) -> dict[str, Any]:
    tmpfs = TMPFS.format(mib=TMPFS_MIB + slots * SLOT_MIB)
    calls = [f"seccomp={seccomp.PROFILE}"] if has_seccomp else []
    return {
        "Init": True,
        "ReadonlyRootfs": True,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges:true", *calls],
        "PidsLimit": PIDS,
        "Memory": room.memory_bytes,
        "MemorySwap": room.memory_bytes,
        "NanoCpus": round(room.cpus * _SECOND),
        "Ulimits": [{"Name": "core", "Soft": 0, "Hard": 0}],
        "ShmSize": 16 << 20,
        "IpcMode": "private",
        "OomScoreAdj": 500,
        "Tmpfs": {
            "/tmp": tmpfs,  # noqa: S108 - the container's own
            str(Path(HEARTBEAT_FILE).parent): HEARTBEAT_TMPFS,
            WHEELS_FOLDER: WHEELS_TMPFS.format(mib=WHEELS_MIB),
        },
        "Mounts": _mounts(profile),
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        "NetworkMode": network,
        "LogConfig": {
            "Type": "local",
            "Config": {
                "max-size": "10m",
                "max-file": "3",
                "mode": "non-blocking",
                "max-buffer-size": "4m",
            },
        },
    }


def _mounts(profile: ContainerProfile) -> list[dict[str, Any]]:
    if not profile.catalog:
        return []
    kind = "bind" if profile.catalog.startswith("/") else "volume"
    return [_mount(kind, profile.catalog, profile.catalog_target)]


def _mount(kind: str, source: str, target: str) -> dict[str, Any]:
    return {"Type": kind, "Source": source, "Target": target, "ReadOnly": True}
