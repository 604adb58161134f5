"""The command line as people and scripts use it: what it prints, and how it exits."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyarrow import parquet

from flotilla.state.exits import Exit
from tests.e2e.stacks import RunningStack, run_flotilla

START = ("engine", "start", "--param", "speed=864000")


@pytest.fixture(scope="module")
def stack() -> Iterator[RunningStack]:
    """One stack of local processes: what the command line does is the same with containers."""
    made = RunningStack("process")
    made.start()
    yield made
    made.remove()


@pytest.fixture(scope="module")
def trader(stack: RunningStack) -> str:
    """An engine that trades."""
    stack.json(*START, "trader", "--strategy", "ema_cross", "--set", "trade_size=10")
    return "trader"


# What people see.


def test_several_engines_are_stopped_at_once_by_name_and_by_label(stack: RunningStack, trader: str) -> None:
    for name in ("pair-1", "pair-2"):
        stack.json(*START, name, "--strategy", "ema_cross", "--label", "desk=pairs", "--no-wait")
    done = stack.cli("--json", "engine", "stop", "pair-1", "nobody", "pair-1")
    stopped, unknown = json.loads(done.stdout)["stopped"]
    assert stopped["engine"]["session"]["state"] == "stopped"
    assert (unknown["instance_id"], unknown["accepted"], unknown["error"]["code"]) == (
        "nobody",
        None,
        "not_found",
    )
    assert done.returncode == unknown["error"]["exit_code"] == Exit.NOT_FOUND
    done = stack.cli("engine", "stop", "--label", "desk=pairs")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "● engine pair-2 is stopped"), done.stderr
    assert stack.cli("engine", "stop", "--label", "desk=pairs").stdout == "no engine is active\n"
    assert stack.cli("engine", "stop", "--all", trader).returncode == Exit.USAGE
    assert stack.json("engine", "inspect", trader)["engine"]["session"]["state"] == "trading"
    for name in ("pair-1", "pair-2"):
        stack.cli("engine", "rm", name)


def test_a_shell_is_offered_the_names_of_engines(stack: RunningStack, trader: str) -> None:
    script = stack.cli("completion", "bash")
    assert "_FLOTILLA_COMPLETE=bash_complete" in script.stdout, script.stderr
    typed = f"flotilla --state {stack.folder.root} engine stop "
    asked = {"_FLOTILLA_COMPLETE": "bash_complete", "COMP_WORDS": typed, "COMP_CWORD": "5"}
    assert f"plain,{trader}" in run_flotilla(env=asked).stdout.splitlines()
    nowhere = asked | {"COMP_WORDS": "flotilla --state /nowhere engine stop "}
    offered = run_flotilla(env=nowhere)
    assert (offered.stdout.strip(), offered.stderr) == ("", "")


def test_an_engine_is_started_looked_at_and_stopped(stack: RunningStack) -> None:
    started = stack.cli(*START, "one", "--strategy", "ema_cross")
    assert started.returncode == 0, started.stderr
    assert re.match(
        r"● engine one is trading\n  session    \S+\n  container  nautilus-engine-", started.stdout
    )
    listed = stack.cli("engine", "ls").stdout.splitlines()
    assert listed[0].split() == [
        "ENGINE",
        "STATE",
        "TYPE",
        "AGE",
        "FILLS",
        "POSITION",
        "REALIZED",
        "UNREALIZED",
    ]
    assert any(line.split()[:3] == ["one", "trading", "sandbox"] for line in listed)
    assert re.search(r"wanted +running\n", stack.cli("engine", "inspect", "one").stdout)
    stopped = stack.cli("engine", "stop", "one")
    assert stopped.stdout.startswith("● engine one is stopped\n")
    assert stack.cli("engine", "stop", "one").returncode == 0, "stopping a stopped engine is a success"


def test_a_restart_is_a_new_session_with_the_same_configuration(stack: RunningStack, trader: str) -> None:
    before = stack.json("engine", "inspect", trader)["engine"]
    done = stack.json("engine", "restart", trader)["engine"]
    assert done["session"]["session_id"] > before["session"]["session_id"]
    assert done["config"] == before["config"]
    assert len(stack.json("engine", "inspect", trader)["sessions"]) >= 2


def test_what_is_piped_has_no_colours_no_trailing_blanks_and_nothing_cut(
    stack: RunningStack, trader: str
) -> None:
    text = "".join(
        stack.cli(*words).stdout for words in (("engine", "ls"), ("template", "show", "ema_cross"))
    )
    assert "\x1b" not in text
    assert "…" not in text
    assert not re.search(r" \n", text)


def test_watch_shows_what_happens_and_ends_after_a_count(stack: RunningStack, trader: str) -> None:
    done = stack.cli("engine", "watch", trader, "--kind", "metrics", "--count", "2")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    assert re.search(r"metrics +[\d,]+ of 5,031 events", lines[1])


def test_ledgers_have_what_engines_did(stack: RunningStack, trader: str, tmp_path: Path) -> None:
    deadline = time.monotonic() + 30
    while not (rows := stack.json("ledger", "fills", "--engine", trader, "-n", "3")["rows"]):
        assert time.monotonic() < deadline
    assert {(row["instance_id"], row["instrument_id"]) for row in rows} == {(trader, "SPX.SIM")}
    listed = stack.cli("ledger", "orders", "--status", "FILLED").stdout.splitlines()
    assert listed[0].split()[:3] == ["AT", "ENGINE", "ORDER"]
    assert listed[1].split()[-1] == "FILLED"
    assert stack.cli("ledger", "positions", "--side", "NONE").stdout == "no positions on record\n"
    assert "USD" in stack.cli("ledger", "accounts", "--latest").stdout
    for form in ("csv", "parquet"):
        done = stack.json("ledger", "fills", "--oldest", f"--{form}", str(tmp_path / f"fills.{form}"))
        assert done["rows"] > 0
    written = (tmp_path / "fills.csv").read_text().splitlines()
    assert written[0].startswith("instance_id,session_id,at,seq,venue,account,trade_id")
    assert parquet.read_table(tmp_path / "fills.parquet").num_rows >= len(written) - 1
    refused = stack.cli("ledger", "fills", "--side", "buy!")
    assert refused.returncode == 2
    assert "sides" in refused.stderr


def test_history_has_what_an_engine_measured(stack: RunningStack, trader: str) -> None:
    deadline = time.monotonic() + 30
    while not (found := stack.json("engine", "history", trader))["at"]:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    equity = found["equity"]
    assert equity["last"][-1] is not None or equity["unknown"][-1], "where it is not known, the reason is"
    assert found["counts"]["orders_open"][-1] is not None
    assert found["resources"]["memory_bytes"][-1] > 1 << 20
    assert stack.cli("engine", "history", trader).stdout.split()[:3] == ["AT", "EQUITY", "LEAST"]
    nothing = stack.cli("engine", "history", trader, "--until", "2020-01-02")
    assert nothing.stdout == "nothing was measured in that time\n"
    assert stack.cli("engine", "history", "nobody").returncode == 4


def test_the_record_says_what_is_kept_and_for_how_long(stack: RunningStack, trader: str) -> None:
    found = stack.json("record")
    kinds = {one["kind"]: one for one in found["kinds"]}
    assert (kinds["events"]["keep_days"], kinds["ledgers"]["keep_days"]) == (90.0, 400.0)
    assert kinds["events"]["bytes"] > 0
    assert (found["budget_bytes"], found["problem"]) == (20 << 30, "")
    shown = stack.cli("record").stdout
    assert shown.split()[:5] == ["KIND", "SIZE", "ROWS", "OLDEST", "KEPT"]
    assert re.search(r"^events .* 90 days$", shown, re.MULTILINE)


def test_logs_are_those_of_the_engine(stack: RunningStack, trader: str) -> None:
    assert "[INFO] TRADER-001" in stack.cli("engine", "logs", trader, "--lines", "5").stdout
    done = stack.json("engine", "logs", trader, "--lines", "3")
    assert len(done["lines"]) == 3


def test_logs_of_all_engines_are_searched(stack: RunningStack, trader: str) -> None:
    found = stack.json("logs", "trader-001", "--engine", trader, "--level", "info", "-n", "2")
    assert [(one["instance_id"], "TRADER-001" in one["text"]) for one in found["lines"]] == [
        (trader, True)
    ] * 2
    assert found["looked_bytes"] > 0
    nothing = stack.cli("logs", "said by nobody")
    assert nothing.stdout.strip() == ""
    assert re.search(r"^0 lines; all that is kept was looked through, back to 20..-", nothing.stderr)
    assert re.search(r"^1 lines; looked back to .* goes on", stack.cli("logs", "-n", "1").stderr)
    assert stack.cli("logs", "--engine", "nobody").returncode == 4
    wrong = stack.cli("logs", "--until", "yesterday")
    assert (wrong.returncode, "--until 'yesterday'" in wrong.stderr) == (2, True)
    argv = [
        sys.executable,
        "-m",
        "flotilla",
        "--state",
        str(stack.folder.root),
        "logs",
        "--follow",
        "-n",
        "1",
        "--json",
    ]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [json.loads(process.stdout.readline()) for _ in range(3)]
        process.terminate()
    places = [(one["session_id"], one["number"]) for one in lines]
    assert len(set(places)) == 3


def test_templates_and_data_are_listed(stack: RunningStack) -> None:
    templates = stack.cli("template", "ls").stdout
    assert re.search(r"^sandbox_engine  ", templates, re.MULTILINE)
    assert re.search(r"^ema_cross  ", templates, re.MULTILINE)
    assert "fast_ema_period" in stack.cli("template", "show", "ema_cross").stdout
    assert "SPX.SIM-1-DAY-LAST-EXTERNAL" in stack.cli("data", "ls").stdout


def test_a_configuration_is_stored_changed_and_used_by_the_next_start(stack: RunningStack) -> None:
    stored = stack.cli("engine", "configure", "later", "--memory", "1g", "--param", "speed=864000")
    assert stored.returncode == 0, stored.stderr
    assert stack.cli("engine", "configure", "later", "--cpus", "1.5").returncode == 0
    started = stack.json("engine", "start", "later", "--stored")["engine"]
    config = started["config"]
    assert (config["max_memory"], config["max_cpu"], config["parameters"]) == ("1g", "1.5", {"speed": 864000})
    active = stack.cli("engine", "rm", "later")
    assert active.returncode == 5, "an active engine is not forgotten"
    stack.json("engine", "stop", "later")
    removed = stack.cli("engine", "rm", "later")
    assert removed.returncode == 0, removed.stderr
    assert stack.cli("engine", "inspect", "later").returncode == 4


def test_containers_are_listed_and_those_of_active_engines_left_alone(
    stack: RunningStack, trader: str
) -> None:
    session = stack.json("engine", "inspect", trader)["engine"]["session"]["session_id"]
    listed = stack.cli("container", "ls").stdout
    assert re.search(rf"^{trader} +{session} +running ", listed, re.MULTILINE)
    would = stack.json("container", "cleanup", "--dry-run")
    assert would["is_dry_run"]
    assert session not in [one["session_id"] for one in would["cleaned"]]
    assert stack.cli("container", "cleanup").returncode == 0
    assert session in stack.cli("container", "ls").stdout


def test_a_template_is_validated_with_everything_that_is_wrong(stack: RunningStack) -> None:
    assert stack.cli("template", "validate", "ema_cross").returncode == 0
    refused = stack.cli("template", "validate", "ema_cross", "--param", "trade_size=-5", "--param", "bogus=1")
    assert refused.returncode == 3
    assert "trade_size" in refused.stdout
    assert "bogus" in refused.stdout
    assert stack.cli("template", "validate", "nowhere").returncode in (3, 4)


def test_secrets_are_stored_from_stdin_and_shown_by_name_only(tmp_path: Path) -> None:
    folder = ("--state", str(tmp_path / "state"))
    keys = json.dumps({"api_key": "AKIA", "api_secret": "hunter2"})
    options = (
        "--adapter",
        "binance",
        "--endpoint",
        "https://api.binance.us",
        "--account",
        "main",
        "--mode",
        "live",
    )
    done = run_flotilla(*folder, "secret", "set", "binance_main", *options, stdin=keys)
    bound = "nautilus_trader.adapters.binance at https://api.binance.us, accounts main, live trading"
    assert (done.returncode, done.stdout) == (
        0,
        f"secret binance_main is stored, with api_key, api_secret; for {bound}\n",
    )
    file = tmp_path / "state/secrets/binance_main.json"
    assert file.stat().st_mode & 0o777 == 0o600
    listed = run_flotilla(*folder, "secret", "ls")
    assert re.search(rf"^binance_main +api_key, api_secret +{re.escape(bound)}$", listed.stdout, re.MULTILINE)
    rotated = run_flotilla(*folder, "secret", "rotate-key")
    assert (rotated.returncode, rotated.stdout) == (0, "key 2 encrypts binance_main\n")
    said = listed.stdout + run_flotilla(*folder, "--json", "secret", "ls").stdout + done.stdout + done.stderr
    stored = b"".join(path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file())
    for value in ("hunter2", "AKIA"):
        assert value not in said
        assert value.encode() not in stored
    for stdin in ("not json: hunter2", "[]", "{}"):
        refused = run_flotilla(*folder, "secret", "set", "other", "--adapter", "binance", stdin=stdin)
        assert refused.returncode == 3
        assert "hunter2" not in refused.stderr
    assert run_flotilla(*folder, "secret", "set", "../x", *options, stdin=keys).returncode == 3
    assert run_flotilla(*folder, "secret", "rm", "binance_main").returncode == 0
    assert run_flotilla(*folder, "secret", "rm", "binance_main").returncode == 4
    assert list(file.parent.iterdir()) == []


def test_a_secret_is_bound_or_not_stored(tmp_path: Path) -> None:
    folder, keys = ("--state", str(tmp_path / "state")), json.dumps({"api_key": "AKIA"})
    for options, code, said in (
        ((), 3, "--adapter binance"),
        (("--adapter", "binanace"), 3, "binance, bitmex"),
        (("--mode", "live"), 2, "go with --adapter"),
        (("--adapter", "binance", "--mode", "sandbox"), 2, "--mode"),
        (("--adapter", "binance", "--endpoint", "https://u:hunter2@proxy"), 3, "binding.endpoints[0]"),
        (("--adapter", "binance", "--endpoint", "https://a b"), 3, "binding.endpoints[0]"),
        (("--adapter", "binance", "--account", "a/b"), 3, "binding.accounts[0]"),
    ):
        refused = run_flotilla(*folder, "secret", "set", "keys", *options, stdin=keys)
        assert (refused.returncode, said in refused.stderr) == (code, True), (options, refused.stderr)
        assert "hunter2" not in refused.stderr
    assert run_flotilla(*folder, "secret", "ls").stdout.startswith("no secrets")
    rehearsal = {"api_key": "AKIA", "base_url_http": "http://127.0.0.1:9100"}
    options = ("--adapter", "binance", "--test-exchange")
    done = run_flotilla(*folder, "secret", "set", "rehearsal", *options, stdin=json.dumps(rehearsal))
    assert "binance at the addresses among its fields, a test exchange, paper trading" in done.stdout
    assert run_flotilla(*folder, "secret", "rm", "rehearsal").returncode == 0
    # One of an earlier release is bound as it is, and a newer value keeps what it is bound to.
    old = tmp_path / "state/secrets/old.json"
    old.write_text(keys)
    old.chmod(0o600)
    assert "needs a binding" in run_flotilla(*folder, "secret", "ls").stdout
    assert run_flotilla(*folder, "secret", "bind", "old", "--adapter", "okx").returncode == 0
    assert run_flotilla(*folder, "secret", "set", "old", stdin=keys).returncode == 0
    listed = json.loads(run_flotilla(*folder, "--json", "secret", "ls").stdout)["secrets"]
    assert listed == [
        {
            "name": "old",
            "fields": ["api_key"],
            "binding": {"adapter": "nautilus_trader.adapters.okx"},
            "problem": "",
        }
    ]
    assert run_flotilla(*folder, "secret", "bind", "none", "--adapter", "okx").returncode == 4


def test_tokens_are_made_listed_and_taken_away_without_a_stack(tmp_path: Path) -> None:
    folder = ("--state", str(tmp_path / "state"))
    add = (*folder, "access", "add", "desk-a", "--role", "trader")
    made = run_flotilla(*add, "--label", "desk=a", "--label", "zone=b", "--expires", "30d")
    assert made.returncode == 0, made.stderr
    token = made.stdout.removesuffix("\n")
    assert re.fullmatch(r"[\w-]{43}", token), "nothing but the token stands on stdout"
    assert "desk-a is trader for engines labelled desk=a,zone=b until 20" in made.stderr
    assert (
        run_flotilla(*folder, "access", "add", "old", "--role", "viewer", "--expires", "1s").returncode == 0
    )
    again = run_flotilla(*add)
    assert (again.returncode, again.stdout) == (5, "")
    assert "--replace" in again.stderr
    for more, field in (
        (("../x", "--role", "viewer"), "name"),
        (("x", "--role", "viewer", "--expires", "1y"), "--expires"),
        (("x", "--role", "viewer", "--label", "Desk=a"), "--label"),
    ):
        refused = run_flotilla(*folder, "access", "add", *more)
        assert refused.returncode == 3
        assert field in refused.stderr
    assert run_flotilla(*folder, "access", "add", "x", "--role", "god").returncode == 2
    assert run_flotilla(*folder, "access", "add", "x").returncode == 2
    deadline = time.monotonic() + 10
    while "expired" not in run_flotilla(*folder, "access", "ls").stdout:
        assert time.monotonic() < deadline
    listed = run_flotilla(*folder, "access", "ls").stdout
    assert re.search(r"^desk-a +trader +desk=a,zone=b +20\S+ \S+Z +20\S+ \S+Z$", listed, re.MULTILINE)
    assert re.search(r"^old +viewer +20.* expired$", listed, re.MULTILINE)
    known = json.loads(run_flotilla(*folder, "--json", "access", "ls").stdout)
    assert [(one["name"], one["is_expired"]) for one in known["tokens"]] == [("desk-a", False), ("old", True)]
    assert token not in str(known) + listed
    assert "sha256" not in str(known)
    replaced = json.loads(run_flotilla(*add, "--replace", "--json").stdout)
    assert replaced["token"] != token
    assert (replaced["labels"], replaced["expires_at"]) == ({}, None)
    assert run_flotilla(*folder, "access", "rm", "desk-a").stdout == "the token of desk-a no longer works\n"
    assert run_flotilla(*folder, "access", "rm", "desk-a").returncode == 4


# What programs get.


@pytest.mark.parametrize(
    "command",
    [
        ("engine", "ls"),
        ("engine", "inspect", "trader"),
        ("engine", "logs", "trader"),
        ("template", "ls"),
        ("template", "show", "ema_cross"),
        ("strategy", "ls", "trader"),
        ("container", "ls"),
        ("secret", "ls"),
        ("access", "ls"),
        ("data", "ls"),
        ("doctor",),
    ],
)
def test_json_is_one_document_wherever_the_option_stands(
    stack: RunningStack, trader: str, command: tuple[str, ...]
) -> None:
    before = stack.cli("--json", *command)
    after = stack.cli(*command, "--json")
    for done in (before, after):
        assert done.returncode == 0, done.stderr
        assert isinstance(json.loads(done.stdout), dict)
        assert done.stdout.count("\n") == 1


def test_watch_gives_programs_one_object_per_line(stack: RunningStack, trader: str) -> None:
    done = stack.cli("--json", "engine", "watch", trader, "--kind", "heartbeat", "--count", "2")
    beats = [json.loads(line) for line in done.stdout.splitlines()]
    assert [beat["kind"] for beat in beats] == ["heartbeat"] * 2
    assert beats[1]["payload"]["beat"] == beats[0]["payload"]["beat"] + 1


def test_followed_logs_come_once_each_and_go_on(stack: RunningStack, trader: str) -> None:
    argv = [
        "--state",
        str(stack.folder.root),
        "--json",
        "engine",
        "logs",
        trader,
        "--follow",
        "--lines",
        "50",
    ]
    process = subprocess.Popen([sys.executable, "-m", "flotilla", *argv], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    numbers: list[tuple[str, int]] = []
    while len(numbers) < 120:
        chunk = json.loads(process.stdout.readline())
        numbers += [(chunk["session_id"], chunk["first"] + index) for index in range(len(chunk["lines"]))]
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130
    process.stdout.close()
    assert len(set(numbers)) == len(numbers)
    assert numbers == sorted(numbers)


# How commands exit.


@pytest.mark.parametrize(
    ("command", "field"),
    [
        (("engine", "start", "No.Dots"), "config.instance_id"),
        (("engine", "start", "x", "--template", "nowhere"), "config.template"),
        (("engine", "start", "x", "--strategy", "nowhere"), "config.strategies[0].template"),
        (("engine", "start", "x", "--strategy", "ema_cross", "--set", "trade_size=-5"), "trade_size"),
        (("engine", "start", "x", "--strategy", "ema_cross", "--set", "trade_size=NaN"), "trade_size"),
        (("engine", "start", "x", "--strategy", "ema_cross", "--set", "bogus=1"), "bogus"),
        (
            ("engine", "start", "x", "--strategy", "ema_cross", "--set", "instrument_id=NO.SIM"),
            "instrument_id",
        ),
        (("engine", "start", "x", "--param", "speed=-1"), "config.parameters.speed"),
        (("engine", "start", "x", "--memory", "lots"), "config.max_memory"),
    ],
)
def test_3_bad_input_is_refused_naming_the_field_and_leaves_no_engine(
    stack: RunningStack, command: tuple[str, ...], field: str
) -> None:
    done = stack.cli(*command)
    assert (done.returncode, done.stdout) == (3, "")
    assert field in done.stderr
    told = json.loads(stack.cli("--json", *command).stderr)["error"]
    assert told["exit_code"] == 3
    assert any(field in name for name, _ in told["errors"])
    assert stack.cli("engine", "inspect", "x").returncode == 4


def test_3_live_trading_needs_its_confirmation(stack: RunningStack) -> None:
    done = stack.cli("engine", "start", "x", "--type", "live", "--mode", "live")
    assert done.returncode == 3
    assert "--confirm-live-trading" in done.stderr


@pytest.mark.parametrize("verb", ["inspect", "stop", "restart", "logs", "watch"])
def test_4_an_engine_that_is_not_there(stack: RunningStack, verb: str) -> None:
    done = stack.cli("engine", verb, "nobody")
    assert done.returncode == 4, done.stderr
    assert "nobody" in done.stderr
    assert "remedy: " in done.stderr


def test_4_a_template_that_is_not_there(stack: RunningStack) -> None:
    assert stack.cli("template", "show", "nowhere").returncode == 4


def test_5_starting_an_active_engine(stack: RunningStack, trader: str) -> None:
    done = stack.cli(*START, trader)
    assert done.returncode == 5
    assert trader in done.stderr


def test_5_a_second_stack_on_the_same_folder_says_who_has_it(stack: RunningStack) -> None:
    done = stack.cli("up", "--port", "0")
    assert done.returncode == 5
    assert f"in use by process {stack.pid}" in done.stderr
    assert "flotilla down" in done.stderr
    assert stack.cli("up", "--detach").returncode == 5


def test_6_no_stack_runs(tmp_path: Path) -> None:
    for command in (("engine", "ls"), ("engine", "start", "x"), ("template", "ls")):
        done = run_flotilla("--state", str(tmp_path), *command)
        assert done.returncode == 6, done.stderr
        assert "flotilla up" in done.stderr


def test_6_a_bus_that_does_not_answer() -> None:
    done = run_flotilla("engine", "ls", env={"FLOTILLA_NATS_URL": "nats://127.0.0.1:9"})
    assert done.returncode == 6
    assert "no bus at nats://127.0.0.1:9" in done.stderr


def test_7_an_engine_that_fails_while_it_is_waited_for(stack: RunningStack, tmp_path: Path) -> None:
    config = {
        "strategies": [
            {
                "strategy_path": "engine_sidecar.strategies.no_such:Strategy",
                "config_path": "engine_sidecar.strategies.no_such:Config",
            }
        ]
    }
    done = stack.cli("engine", "start", "broken", "--config", "-", stdin=json.dumps(config))
    assert done.returncode == 7, done.stderr
    assert "engine broken is failed (config)" in done.stderr
    assert "flotilla engine logs broken" in done.stderr


def test_8_a_command_that_nobody_answered_and_its_request_id_sent_again(stack: RunningStack) -> None:
    pid = stack.pid_of("orchestrator")
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        done = stack.cli(*START, "late", "--request-id", "only-once")
    finally:
        os.kill(pid, signal.SIGCONT)
    assert done.returncode == 8
    assert "unknown" in done.stderr
    first = stack.json(*START, "late", "--request-id", "only-once")
    again = stack.json(*START, "late", "--request-id", "only-once")
    assert first["accepted"] == again["accepted"]
    assert len(stack.json("engine", "inspect", "late")["sessions"]) == 1
    stack.json("engine", "stop", "late", "--force")


def test_8_an_engine_that_does_not_get_there_in_time(stack: RunningStack) -> None:
    pid = stack.pid_of("supervisor")
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        done = stack.cli(*START, "slow", "--timeout", "1")
    finally:
        os.kill(pid, signal.SIGCONT)
    assert done.returncode == 8
    assert "engine slow is still" in done.stderr
    stack.json("engine", "stop", "slow", "--timeout", "60")


@pytest.mark.parametrize(
    "command", [("engine", "dance"), ("engine", "ls", "--bogus"), ("engine", "start", "x", "--set", "y")]
)
def test_2_a_command_line_that_is_wrong(command: tuple[str, ...]) -> None:
    assert run_flotilla(*command).returncode == 2


def test_130_ctrl_c(stack: RunningStack, trader: str) -> None:
    argv = [sys.executable, "-m", "flotilla", "--state", str(stack.folder.root), "engine", "watch", trader]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors.strip()) == (130, "interrupted")


def test_a_reader_that_goes_away_is_no_error(stack: RunningStack, trader: str) -> None:
    shell = (
        f"{sys.executable} -m flotilla --state {stack.folder.root} engine watch {trader} --for 5 | head -n 1"
    )
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", shell], capture_output=True, text=True, timeout=20, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


# Data and diagnosis.


def test_importing_the_same_data_again_changes_nothing(stack: RunningStack) -> None:
    before = stack.json("data", "ls")
    done = stack.cli("data", "import", "--sample")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("unchanged") == 2
    assert stack.json("data", "ls") == before


def test_a_users_own_bars_are_imported_and_can_be_traded(stack: RunningStack, tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    rows = [f"2026-01-{day:02}T21:00:00Z,{day}.5,{day}.9,{day}.1,{day}.6,1000" for day in range(1, 29)]
    file.write_text("\n".join(["timestamp,open,high,low,close,volume", *rows, ""]))
    bar_type = "MINE.SIM-1-DAY-LAST-EXTERNAL"
    done = stack.cli(
        "data",
        "import",
        str(file),
        "--type",
        "bars",
        "--instrument",
        "MINE.SIM",
        "--bar-type",
        bar_type,
        "--stamp",
        "close",
    )
    assert done.returncode == 0, done.stderr
    assert "MINE.SIM-1-DAY-LAST-EXTERNAL: 28 bars, 2026-01-01 to 2026-01-28, imported" in done.stdout
    settings = ("--set", "instrument_id=MINE.SIM", "--set", f"bar_type={bar_type}")
    stack.json(*START, "mine", "--strategy", "ema_cross", *settings)
    stack.json("engine", "stop", "mine")


def test_3_data_that_is_not_sound_is_refused(stack: RunningStack, tmp_path: Path) -> None:
    file = tmp_path / "bad.csv"
    file.write_text("timestamp,open,high,low,close,volume\n2026-01-05T21:00:00Z,1,0.5,2,1,1\n")
    done = stack.cli(
        "data",
        "import",
        str(file),
        "--type",
        "bars",
        "--instrument",
        "BAD.SIM",
        "--bar-type",
        "BAD.SIM-1-DAY-LAST-EXTERNAL",
    )
    assert done.returncode == 3, done.stderr
    assert "bad.csv" in done.stderr
    assert "BAD.SIM" not in stack.cli("data", "ls").stdout


def test_the_doctor_finds_this_machine_fit(stack: RunningStack) -> None:
    done = stack.cli("doctor")
    assert done.returncode == 0, done.stdout
    assert re.search(r"ok +redis +Valkey server v=", done.stdout)
    assert re.search(rf"ok +state folder +{stack.folder.root}, in use by process {stack.pid}", done.stdout)


def test_the_doctor_says_how_to_mend_what_is_broken(tmp_path: Path) -> None:
    done = run_flotilla("--state", str(tmp_path), "--json", "doctor", env={"NATS_SERVER": "/nowhere"})
    assert done.returncode == 1
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert checks["nats-server"]["level"] == "fail"
    assert "NATS_SERVER" in checks["nats-server"]["remedy"]


def test_help_explains_every_exit_code_and_comes_at_once() -> None:
    done = run_flotilla("--help")
    for code in (0, 1, 2, 3, 4, 5, 6, 7, 8, 130):
        assert re.search(rf"^ +{code}  \w", done.stdout, re.MULTILINE)
    slow = "bus.bus", "nats", "aiohttp", "nautilus_trader"
    script = f"import sys, flotilla.cli.main; print([name for name in {slow} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert loaded.stdout == "[]\n", "the command line loads what it does not need"
