"""The container that Docker is asked for."""

import msgspec
import pytest

from flotilla.schemas.backtest import WorkerPlan
from flotilla.schemas.config import EngineConfig
from flotilla.services.supervisor.core import names
from flotilla.services.supervisor.core.seccomp import PROFILE as PROFILE_OF_CALLS
from flotilla.services.supervisor.core.spec import (
    CHECK_ROOM,
    ENGINE_FOLDERS,
    FLUSH_S,
    WHEELS_FOLDER,
    ContainerProfile,
    Room,
    catalog_config,
    check_config,
    container_config,
    networks_besides,
)
from tests.fakes.supervised import session

PROFILE = ContainerProfile(
    owner="flotilla", host="h1", image="flotilla-engine:latest", network="flotilla-bus"
)

HOST = Room(cpus=8.0, memory_bytes=32 << 30)


def test_it_is_hardened() -> None:
    config = container_config(
        session(memory_bytes=2 << 30, cpus=2.0, stop_timeout_s=29.5), PROFILE, host=HOST
    )
    host = config["HostConfig"]
    assert config["User"] == "65532:65532"
    assert host["ReadonlyRootfs"] is True
    assert host["Init"] is True
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges:true", f"seccomp={PROFILE_OF_CALLS}"]
    assert host["PidsLimit"] == 256
    assert host["Memory"] == host["MemorySwap"] == 2 << 30
    assert host["NanoCpus"] == 2_000_000_000
    assert list(host["Tmpfs"]) == ["/tmp", "/run/flotilla", WHEELS_FOLDER]
    # Native code of wheels is loaded from there; strategies cannot write there, which ENGINE_FOLDERS does not name.
    assert [",noexec," in options for options in host["Tmpfs"].values()] == [True, True, False]
    assert not any(WHEELS_FOLDER.startswith(f"{folder}/") for folder in ENGINE_FOLDERS)
    assert host["RestartPolicy"]["Name"] == "no"
    assert host["LogConfig"]["Type"] == "local"
    assert host["NetworkMode"] == "flotilla-bus"
    assert config["StopTimeout"] == 30 + FLUSH_S
    assert (config["OpenStdin"], config["StdinOnce"]) == (True, True)
    assert config["Healthcheck"]["Interval"] == 30_000_000_000
    assert "PortBindings" not in host
    assert "Entrypoint" not in config


def test_nothing_of_the_plan_stands_in_it() -> None:
    spec = session(plan=msgspec.structs.replace(session().plan, node={"key": "SECRET-NAME"}))
    assert b"SECRET-NAME" not in msgspec.json.encode(container_config(spec, PROFILE, host=HOST))


def test_the_labels_name_the_session() -> None:
    spec = session("s1", instance_id="e1", generation=7)
    labels = container_config(spec, PROFILE, host=HOST)["Labels"]
    assert labels.pop(names.SPEC)
    assert labels == {
        names.OWNER: "flotilla",
        names.HOST: "h1",
        names.INSTANCE: "e1",
        names.SESSION: "s1",
        names.GENERATION: "7",
        names.ENGINE_TYPE: "sandbox",
        names.TRADING_MODE: "paper",
    }


def test_the_engines_own_labels_stand_beside_ours_and_cannot_replace_them() -> None:
    config = EngineConfig(instance_id="e1", labels={"desk": "rates", "owner": "me"})
    spec = session("s1", instance_id="e1", config=config)
    labels = container_config(spec, PROFILE, host=HOST)["Labels"]
    plain = container_config(session("s1", instance_id="e1"), PROFILE, host=HOST)["Labels"]
    own = {"flotilla.label.desk": "rates", "flotilla.label.owner": "me"}
    assert {**labels, names.SPEC: ""} == {**plain, **own, names.SPEC: ""}


def test_a_worker_is_labelled_so_and_nothing_else_is() -> None:
    config = container_config(session("s1", worker=WorkerPlan()), PROFILE, host=HOST)
    assert config["Labels"]["flotilla.worker"] == "true"
    assert "flotilla.worker" not in container_config(session("s1"), PROFILE, host=HOST)["Labels"]


@pytest.mark.parametrize(("worker", "mib"), [(None, 64), (WorkerPlan(), 80), (WorkerPlan(slots=32), 576)])
def test_a_worker_has_room_for_the_packages_of_each_trial_that_it_runs_at_once(
    worker: WorkerPlan | None, mib: int
) -> None:
    host = container_config(session("s1", worker=worker), PROFILE, host=HOST)["HostConfig"]
    assert host["Tmpfs"]["/tmp"] == f"rw,noexec,nosuid,nodev,size={mib}m,mode=1777"


@pytest.mark.parametrize(
    ("asked", "host_cpus", "given"), [(2.0, 8, 2.0), (64.0, 2, 2.0), (0.1, 2, 0.1), (4.0, 0, 1.0)]
)
def test_cpus_are_clamped_to_the_host(asked: float, host_cpus: int, given: float) -> None:
    host = Room(cpus=host_cpus, memory_bytes=32 << 30)
    config = container_config(session(cpus=asked), PROFILE, host=host)
    assert config["HostConfig"]["NanoCpus"] == given * 1_000_000_000


@pytest.mark.parametrize(
    ("asked", "there_is", "given"),
    [(2 << 30, 8 << 30, 2 << 30), (64 << 30, 8 << 30, 8 << 30), (2 << 30, 0, 2 << 30)],
)
def test_memory_is_clamped_to_the_host(asked: int, there_is: int, given: int) -> None:
    host = Room(cpus=2.0, memory_bytes=there_is)
    limits = container_config(session(memory_bytes=asked), PROFILE, host=host)["HostConfig"]
    assert limits["Memory"] == limits["MemorySwap"] == given


def test_only_engines_that_need_venues_get_the_second_network() -> None:
    assert networks_besides(session(), PROFILE) == ()
    assert networks_besides(session(has_egress=True), PROFILE) == ("flotilla-egress",)
    with_egress = container_config(session(has_egress=True), PROFILE, host=HOST)
    assert with_egress["HostConfig"]["NetworkMode"] == "flotilla-bus"


def test_a_check_is_as_hardened_as_a_session_without_a_network_and_is_none() -> None:
    checks = check_config(PROFILE, host=HOST, timeout_s=28.5)
    runs = container_config(session(), PROFILE, host=HOST)
    own = {"Memory", "MemorySwap", "NanoCpus", "NetworkMode"}
    assert {key: value for key, value in checks["HostConfig"].items() if key not in own} == {
        key: value for key, value in runs["HostConfig"].items() if key not in own
    }
    assert checks["HostConfig"]["NetworkMode"] == "none"
    assert checks["HostConfig"]["Memory"] == CHECK_ROOM.memory_bytes
    assert checks["User"] == runs["User"]
    assert checks["Labels"] == {names.CHECK: "flotilla"}
    assert checks["Entrypoint"] == [
        "timeout",
        "-s",
        "KILL",
        "29",
        "python",
        "-m",
        "flotilla.engine_sidecar.checking",
    ]


def test_a_look_at_the_catalog_is_a_check_that_writes_nothing_and_a_change_writes_that_folder_alone() -> None:
    profile = msgspec.structs.replace(PROFILE, catalog="/srv/catalog")
    attached = ("/mnt/theirs",)
    look = catalog_config(profile, host=HOST, timeout_s=25, attached=attached)
    change = catalog_config(profile, host=HOST, timeout_s=25, attached=attached, writer="1000:1000")
    check = check_config(profile, host=HOST, timeout_s=25)
    assert look["Entrypoint"] == [*check["Entrypoint"][:4], *profile.catalog_command]
    assert (look["User"], change["User"]) == (check["User"], "1000:1000")
    assert [one["ReadOnly"] for one in look["HostConfig"]["Mounts"]] == [True, True]
    assert [(one["Source"], one["ReadOnly"]) for one in change["HostConfig"]["Mounts"]] == [
        ("/srv/catalog", False),
        ("/mnt/theirs", True),
    ]
    own = {"Mounts", "Memory", "MemorySwap"}
    for config in (look, change):
        assert {key: value for key, value in config["HostConfig"].items() if key not in own} == {
            key: value for key, value in check["HostConfig"].items() if key not in own
        }
    assert change["HostConfig"]["Memory"] == change["HostConfig"]["MemorySwap"] == 2 << 30
    assert look["HostConfig"]["Memory"] == CHECK_ROOM.memory_bytes


@pytest.mark.parametrize(("catalog", "kind"), [("/srv/catalog", "bind"), ("flotilla-catalog", "volume")])
def test_the_catalog_is_a_read_only_mount(catalog: str, kind: str) -> None:
    profile = msgspec.structs.replace(PROFILE, catalog=catalog)
    assert container_config(session(), profile, host=HOST)["HostConfig"]["Mounts"] == [
        {"Type": kind, "Source": catalog, "Target": "/app/data", "ReadOnly": True}
    ]


def test_attached_catalogs_are_read_only_mounts_at_the_paths_that_links_lead_to() -> None:
    profile = msgspec.structs.replace(PROFILE, catalog="/srv/catalog")
    config = container_config(session(), profile, host=HOST, attached=("/data/mine",))
    assert config["HostConfig"]["Mounts"][1:] == [
        {"Type": "bind", "Source": "/data/mine", "Target": "/data/mine", "ReadOnly": True}
    ]


def test_a_different_specification_has_a_different_hash_and_the_same_one_the_same() -> None:
    def hash_of(**changes: object) -> str:
        labels: dict[str, str] = container_config(session("s1", **changes), PROFILE, host=HOST)["Labels"]
        return labels[names.SPEC]

    assert hash_of() == hash_of()
    assert len({hash_of(), hash_of(cpus=1.5), hash_of(generation=9), hash_of(log_level="DEBUG")}) == 4
