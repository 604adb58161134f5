"""From a session's specification to the container that Docker is asked for, hardened. Pure."""

import math
from typing import Any, Final

import msgspec

from schemas.session import SessionSpec
from services.supervisor.core import names
from services.supervisor.core.facts import spec_hash

USER: Final = "65532:65532"
HEARTBEAT_FILE: Final = "/tmp/heartbeat"  # noqa: S108 - the container's own tmpfs
TMPFS: Final = "rw,noexec,nosuid,nodev,size=64m,mode=1777"
PIDS: Final = 256
FLUSH_S: Final = 12
"""What a sidecar may take after its engine ended to get the last events out, before Docker kills it."""
_SECOND: Final = 1_000_000_000
_ENV: Final = (
    "HOME=/tmp",
    "TMPDIR=/tmp",
    "PYTHONDONTWRITEBYTECODE=1",
    "PYTHONUNBUFFERED=1",
    "MALLOC_ARENA_MAX=2",
    f"FLOTILLA_HEARTBEAT_FILE={HEARTBEAT_FILE}",
)


class ContainerProfile(msgspec.Struct, frozen=True, kw_only=True):
    """What all engine containers of a host have in common.

    `command` overrides the image's own. `catalog` is a path of the Docker host, or the name of a volume; empty mounts none.
    """

    owner: str
    host: str
    image: str
    network: str
    command: tuple[str, ...] = ()
    catalog: str = ""
    catalog_target: str = "/app/data"


def container_config(spec: SessionSpec, profile: ContainerProfile, *, host_cpus: int) -> dict[str, Any]:
    """The body of Docker's `POST /containers/create`. CPUs are clamped to the host's, because Docker refuses more."""
    config: dict[str, Any] = {
        "Image": profile.image,
        "User": USER,
        "WorkingDir": "/",
        "Env": list(_ENV),
        "Labels": _labels(spec, profile),
        "StopSignal": "SIGTERM",
        "StopTimeout": math.ceil(spec.stop_timeout_s) + FLUSH_S,
        "OpenStdin": True,
        "StdinOnce": True,
        "AttachStdin": True,
        "Tty": False,
        "Healthcheck": _healthcheck(spec.boot_timeout_s),
        "HostConfig": _host_config(spec, profile, min(spec.cpus, float(max(host_cpus, 1)))),
    }
    if profile.command:
        config["Entrypoint"] = list(profile.command)
    return config


def _labels(spec: SessionSpec, profile: ContainerProfile) -> dict[str, str]:
    return {
        names.OWNER: profile.owner,
        names.HOST: profile.host,
        names.INSTANCE: spec.instance_id,
        names.SESSION: spec.session_id,
        names.GENERATION: str(spec.generation),
        names.SPEC: spec_hash(spec),
    }


def _healthcheck(start_period_s: float) -> dict[str, Any]:
    # A shell on a file costs 87 ms of CPU a check, Python 127 ms; the bus heartbeat is what the fleet goes by.
    fresh = f"[ $(( $(date +%s) - $(stat -c %Y {HEARTBEAT_FILE}) )) -lt 60 ]"
    return {
        "Test": ["CMD-SHELL", fresh],
        "Interval": 30 * _SECOND,
        "Timeout": 5 * _SECOND,
        "StartPeriod": math.ceil(start_period_s) * _SECOND,
        "Retries": 3,
    }


def _host_config(spec: SessionSpec, profile: ContainerProfile, cpus: float) -> dict[str, Any]:
    return {
        "Init": True,
        "ReadonlyRootfs": True,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges:true"],
        "PidsLimit": PIDS,
        "Memory": spec.memory_bytes,
        "MemorySwap": spec.memory_bytes,
        "NanoCpus": round(cpus * _SECOND),
        "Ulimits": [{"Name": "core", "Soft": 0, "Hard": 0}],
        "ShmSize": 16 << 20,
        "IpcMode": "private",
        "OomScoreAdj": 500,
        "Tmpfs": {"/tmp": TMPFS},  # noqa: S108 - the container's own
        "Mounts": _mounts(profile),
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        "NetworkMode": profile.network,
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
    return [
        {"Type": kind, "Source": profile.catalog, "Target": profile.catalog_target, "ReadOnly": True},
    ]
