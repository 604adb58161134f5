"""The audit of a whole stack, as an auditor uses it: listed, verified, exported, and tampered with."""

import asyncio
import json
from pathlib import Path

import asyncpg
import pytest

from flotilla.stack.servers.postgres import LOGIN, PostgresServer
from tests.e2e.stacks import RunningStack, until


@pytest.fixture(scope="module")
def runtime() -> str:
    return "process"


@pytest.fixture(scope="module")
def used(stack: RunningStack) -> RunningStack:
    """A stack that was asked for something, ended and started again: its last head was exported then."""
    stack.json("engine", "configure", "a1", "--type", "sandbox")
    refused = stack.cli("engine", "stop", "nobody")
    assert refused.returncode == 4
    until(lambda: len(stack.json("audit")["entries"]) == 2, what="the second entry")
    stack.stop()
    stack.start()
    return stack


def run_as(dsn: str, *statements: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(dsn)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run())


def test_the_audit_is_listed_with_and_without_its_command(used: RunningStack) -> None:
    plain, listed = used.json("audit"), used.json("audit", "ls")
    assert plain == listed
    assert [entry["subject"] for entry in plain["entries"]] == ["fleet.engine.stop", "fleet.engine.configure"]
    assert len(used.json("audit", "a1", "-n", "1")["entries"]) == 1


def test_it_is_verified_and_exported_and_the_export_is_verified_without_a_fleet(
    used: RunningStack, tmp_path: Path
) -> None:
    verdict = used.json("audit", "verify")
    assert (verdict["is_whole"], verdict["entries"], verdict["unprotected"]) == (True, 2, "")
    assert (verdict["compared"], verdict["last_known"]) == (1, 2)
    head = f"{verdict['head']['seq']}:{verdict['head']['hash']}"
    assert head in used.cli("audit", "verify", "--head", head).stdout
    file = tmp_path / "audit.jsonl"
    done = used.cli("audit", "export", "--output", str(file))
    assert (done.returncode, done.stdout) == (0, "")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line.get("seq") for line in lines] == [1, 2, None]
    printed = used.cli("audit", "export").stdout.splitlines()
    assert printed[:-1] == file.read_text().splitlines()[:-1]
    alone = {"FLOTILLA_STATE": str(tmp_path / "none")}
    offline = used.cli("audit", "verify", "--file", str(file), "--head", head, env=alone)
    assert offline.returncode == 0, offline.stderr
    file.write_text(file.read_text().replace("nobody", "nobodx"))
    broken = used.cli("audit", "verify", "--file", str(file), env=alone)
    assert (broken.returncode, broken.stdout.split(":")[0]) == (1, "changed")
    other = used.cli("audit", "verify", "--head", f"1:{'ab' * 32}")
    assert (other.returncode, other.stdout.split(":")[0]) == (1, "replaced")


def test_its_orchestrator_cannot_rewrite_it_and_a_superuser_is_found_out(used: RunningStack) -> None:
    server = PostgresServer(used.folder.root / "postgres")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        run_as(server.login_dsn, "update audit set caller = 'mallory'")
    environment = Path(f"/proc/{used.pid_of('orchestrator')}/environ").read_bytes().decode()
    assert f"postgresql://{LOGIN}@/" in environment
    for login in ("postgres", LOGIN):
        password = (used.folder.root / f"postgres/{login}.pgpass").read_text().strip().rpartition(":")[2]
        assert password not in environment
    run_as(
        server.dsn,
        "create table kept as select * from audit",
        "update audit set caller = 'mallory' where seq = 1",
    )
    try:
        broken = used.cli("audit", "verify")
        assert broken.returncode == 1
        assert broken.stdout.startswith("changed: entry 1 has not the text that it was hashed with\n")
        run_as(
            server.dsn,
            "delete from audit where seq = 2",
            "update audit set caller = kept.caller from kept where kept.seq = audit.seq",
            "update audit_head set seq = 1, hash = (select hash from audit where seq = 1)",
        )
        cut = used.cli("--json", "audit", "verify")
        assert (cut.returncode, json.loads(cut.stdout)["problem"]["kind"]) == (1, "cut")
    finally:
        run_as(
            server.dsn,
            "delete from audit",
            "insert into audit select * from kept",
            "update audit_head set seq = 2, hash = (select hash from audit where seq = 2)",
            "drop table kept",
        )
    assert used.cli("audit", "verify").returncode == 0
