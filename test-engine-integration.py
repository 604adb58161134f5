#!/usr/bin/env python3
"""Checks a running stack over its REST API, for real: engines start, trade, stop and are confirmed flat.

Needs Python and its standard library only. It starts engines of its own on replayed data and leaves none behind; two small
backtests stay on record. Engines of others are not touched. Writes `engine-integration-test-report.md` and exits with 1 when a test failed.

    python test-engine-integration.py                       # the stack that `flotilla up` runs here
    python test-engine-integration.py --url http://desk:8001 --token-file admin.token --runtime-required docker
"""

import argparse
import json
import os
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

API = "/api/v1/nautilus"
ENGINE = f"{API}/engine"
ENGINES = f"{API}/engines"
SPEED = 86_400 * 20
"""Twenty days a second: the sample data lasts four minutes."""
REFUSALS: tuple[tuple[str, object], ...] = (
    ("engine_type", "turbo"),
    ("trading_mode", "real"),
    ("log_level", "LOUD"),
    ("max_memory", "2 gigabytes"),
    ("max_memory", "64m"),
    ("max_cpu", "many"),
    ("max_cpu", "0"),
    ("data_catalog_path", "/app/../etc"),
    ("max_position_size", -1),
    ("max_order_rate", 0),
    ("template", "no_such_template"),
    ("template", "../engines/live_engine"),
    ("bogus", 1),
)


class FailedError(Exception):
    """A test found something wrong."""


def expect(is_fine: object, otherwise: object) -> None:
    """Fails the test unless `is_fine`."""
    if not is_fine:
        raise FailedError(str(otherwise)[:500])


_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""No proxy stands between us and a stack, whatever the environment says."""


@dataclass
class Api:
    """The REST API of one stack."""

    url: str
    token: str

    def ask(
        self, method: str, path: str, body: object = None, *, token: str | None = None, timeout_s: float = 90
    ) -> tuple[int, Any]:
        """Status and answer of one request."""
        headers = {
            "Authorization": f"Bearer {self.token if token is None else token}",
            "Content-Type": "application/json",
        }
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)  # noqa: S310
        try:
            with _DIRECT.open(request, timeout=timeout_s) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"{}")

    def get(self, path: str) -> Any:
        """The answer of a read that has to succeed."""
        return self.done("GET", path)

    def done(self, method: str, path: str, body: object = None) -> Any:
        """The answer of a request that has to succeed."""
        status, answer = self.ask(method, path, body)
        expect(200 <= status < 300, f"{method} {path} answered {status}: {answer.get('message', answer)}")
        expect(answer.get("success", True) is True, f"{method} {path}: {answer.get('message', answer)}")
        return answer


@dataclass(frozen=True)
class Result:
    """What one test found; `outcome` is PASS or FAIL, or says why it does not count."""

    name: str
    outcome: str
    detail: str
    seconds: float


@dataclass
class Run:
    """What the tests share."""

    api: Api
    runtime: str
    results: list[Result] = field(default_factory=list)
    is_ready: bool = False
    bars: dict[str, str] = field(default_factory=dict)
    sessions: dict[str, list[str]] = field(default_factory=dict)
    span: dict[str, str] = field(default_factory=dict)
    backtests: list[str] = field(default_factory=list)
    mark: str = field(default_factory=lambda: secrets.token_hex(3))

    @property
    def first(self) -> str:
        """The engine that is started, stopped and stopped again."""
        return f"check-{self.mark}-a"

    @property
    def second(self) -> str:
        """The engine that trades on whatever happens to the first."""
        return f"check-{self.mark}-b"

    @contextmanager
    def test(self, name: str) -> Iterator[None]:
        """One test: fails by an exception, and the run goes on."""
        began = time.monotonic()
        outcome, detail = "PASS", ""
        try:
            yield
        except (FailedError, OSError, KeyError, LookupError, TypeError, ValueError) as error:
            outcome = "FAIL"
            detail = str(error) if isinstance(error, FailedError) else f"{type(error).__name__}: {error}"
        self.add(name, outcome, detail, time.monotonic() - began)

    def add(self, name: str, outcome: str, detail: str = "", seconds: float = 0.0) -> None:
        """Notes a result and tells it."""
        self.results.append(Result(name, outcome, detail, seconds))
        print(f"{outcome:<14} {name}{f' ({detail})' if detail else ''}", flush=True)

    def need_ready(self) -> None:
        """Without a stack, or Docker under it, every other test would wait for answers that do not come."""
        expect(self.is_ready, "not tried: the stack is not ready, or Docker is not")

    def need(self, engine: str) -> None:
        """For tests of an engine that has to run already."""
        self.need_ready()
        expect(self.sessions.get(engine), f"not tried: {engine} never traded")

    def config(self, engine: str) -> dict[str, Any]:
        """An engine that trades often: two short averages on daily bars of the sample data."""
        return {
            "instance_id": engine,
            "engine_type": "sandbox",
            "trading_mode": "paper",
            "max_memory": "1g",
            "parameters": {"speed": SPEED},
            "strategies": [self.strategy()],
        }

    def strategy(self) -> dict[str, Any]:
        """The strategy of all our engines."""
        return {
            "template": "ema_cross",
            "parameters": {
                "instrument_id": self.bars["instrument"],
                "bar_type": self.bars["bar_type"],
                "fast_ema_period": 1,
                "slow_ema_period": 3,
            },
        }

    def fills(self, engine: str) -> int:
        """How often it has traded in its present session, which must be the one that we started."""
        answer = self.api.get(f"{ENGINES}/{engine}/metrics")
        expect(
            answer["session_id"] == self.sessions[engine][-1],
            f"{engine} runs another session than we started",
        )
        return int((answer["metrics"] or {}).get("fills_total", 0))

    def trades_on(self, engine: str) -> None:
        """Waits until it has traded once more."""
        before = self.fills(engine)
        until(lambda: self.fills(engine) > before, f"{engine} traded no more after {before} fills", 30)

    def backtest(self, name: str) -> Any:
        """How a backtest stands."""
        return self.api.get(f"{ENGINE}/backtest/{name}")["backtest"]

    def started(self, engine: str, answer: Any) -> None:
        """Notes the session of an engine that was started and waited for."""
        state = answer["data"]["session"]["state"]
        expect(state == "trading", f"{engine} is {state}: {answer['message']}")
        self.sessions.setdefault(engine, []).append(answer["data"]["session_id"])


def until(look: Callable[[], object], otherwise: str, timeout_s: float) -> None:
    """Waits for a true answer."""
    deadline = time.monotonic() + timeout_s
    while not look():
        expect(time.monotonic() < deadline, f"{otherwise} within {timeout_s:g} s")
        time.sleep(0.2)


def check_service(run: Run) -> None:
    """The API itself."""
    with run.test("health answers with the service name, and knows its engines"):
        health = run.api.get(f"{ENGINE}/health")
        expect(health["service"] == "nautilus-engine-api", f"service is {health['service']}")
        expect(health["status"] != "unknown", health.get("message"))
    with run.test("the stack is ready for commands"):
        status, answer = run.api.ask("GET", "/readyz")
        expect(status == 200, answer)
        run.is_ready = True
    with run.test("nothing is answered without a credential"):
        status, _ = run.api.ask("GET", f"{ENGINE}/status", token="nobody")  # noqa: S106
        expect(status == 401, f"answered {status}")
    with run.test("status has `success` and `status`"):
        run.need_ready()
        answer = run.api.get(f"{ENGINE}/status")
        expect(answer["success"] is True and answer["status"]["state"] != "unknown", answer)
    with run.test("containers are listed and counted"):
        run.need_ready()
        answer = run.api.get(f"{ENGINE}/containers")
        expect(answer["total_count"] == len(answer["containers"]), answer)
    with run.test("the catalog has bars to trade on"):
        run.need_ready()
        ranges = run.api.get(f"{ENGINE}/catalog")["catalog"]["ranges"]
        bar_type = sorted(ranges["bars"], key=lambda one: (not one.startswith("SPX."), one))[0]
        run.bars = {"bar_type": bar_type, "instrument": bar_type.rsplit("-", 4)[0]}
        held = ranges["bars"][bar_type]
        run.span = {"start_date": held["start"][:10], "end_date": held["end"][:10]}


def check_templates(run: Run) -> None:
    """Every template is sound, and validation refuses what is not."""
    names: list[str] = []
    for kind, needed in (
        ("engine", {"live_engine", "paper_trading", "sandbox_engine", "backtest_engine"}),
        ("strategy", {"ema_cross", "simple_momentum"}),
    ):
        names = []
        with run.test(f"every file of {kind} templates is served"):
            run.need_ready()
            listed = run.api.get(f"{API}/templates/{kind}")
            expect(not listed["faults"], listed["faults"])
            found = [one["name"] for one in listed["templates"]]
            expect(needed <= set(found) and found == sorted(found), found)
            names = found
    for name in names:
        with run.test(f"strategy template {name} validates"):
            template = run.api.get(f"{ENGINE}/strategies/templates/{name}")["template"]
            given = {"instrument": run.bars["instrument"], "bar_type": run.bars["bar_type"]}
            needed_ones = {
                key: given[one["type"]] for key, one in template["parameters"].items() if one.get("required")
            }
            body = {"strategy_name": name, "parameters": needed_ones}
            expect(
                run.api.done("POST", f"{ENGINE}/strategies/validate", body)["config"], "it makes no config"
            )
    with run.test("validation names a parameter that does not exist"):
        run.need_ready()
        body = {"strategy_name": "ema_cross", "parameters": {"bogus": 1}}
        status, answer = run.api.ask("POST", f"{ENGINE}/strategies/validate", body)
        expect(status == 422 and "bogus" in json.dumps(answer["errors"]), (status, answer))
    with run.test("a template that does not exist is not found"):
        run.need_ready()
        status, answer = run.api.ask("GET", f"{ENGINE}/strategies/templates/no_such_template")
        expect(status == 404, (status, answer))


def check_refusals(run: Run) -> None:
    """An EngineConfig that is wrong starts nothing."""
    for name, value in REFUSALS:
        with run.test(f"EngineConfig refuses {name} = {value!r}"):
            run.need_ready()
            body = {"config": {**run.config(run.first), name: value}}
            status, answer = run.api.ask("POST", f"{ENGINE}/start", body)
            expect(status == 422, f"answered {status}: {answer}")
            expect(any(name in error["field"] for error in answer["errors"]), answer)
    with run.test("live trading needs its confirmation, whatever the case"):
        run.need_ready()
        live = {**run.config(run.first), "engine_type": "LIVE", "trading_mode": "Live"}
        status, answer = run.api.ask("POST", f"{ENGINE}/start", {"config": live})
        expect(status == 400, f"answered {status}: {answer}")
    with run.test("what was refused left no engine"):
        run.need_ready()
        status, _ = run.api.ask("GET", f"{ENGINES}/{run.first}")
        expect(status == 404, f"answered {status}")


def check_engines(run: Run) -> None:
    """Two engines that trade."""
    for engine in (run.first, run.second):
        with run.test(f"{engine} starts and trades"):
            run.need_ready()
            answer = run.api.done(
                "POST", f"{ENGINE}/start?wait=true&timeout=60", {"config": run.config(engine)}
            )
            run.started(engine, answer)
            run.trades_on(engine)
    engine = run.first
    with run.test("fills are on record"):
        run.need(engine)
        events = run.api.get(f"{ENGINES}/{engine}/events?kind=fill&limit=5")["events"]
        expect(events and events[0]["data"]["trade_id"], events)
    with run.test("logs are the engine's own"):
        run.need(engine)
        logs = run.api.get(f"{ENGINE}/logs?instance_id={engine}&lines=50")["logs"]
        expect(any(engine.upper() in line for line in logs), logs[-3:])
    with run.test("status shows a healthy engine and what it uses"):
        run.need(engine)
        view = run.api.get(f"{ENGINES}/{engine}")["engine"]
        expect((view["state"], view["problems"]) == ("running", []), view["problems"] or view["state"])
        expect(view["resources"]["memory_bytes"] > 0, view["resources"])
    with run.test("with several engines, a call that names none is refused"):
        run.need(run.second)
        status, answer = run.api.ask("GET", f"{ENGINE}/logs")
        expect(status == 409 and answer["code"] == "ambiguous_engine", (status, answer))


def check_docker(run: Run) -> None:
    """Docker, where engines run in it; without it nothing else has to be tried."""
    if run.runtime != "docker":
        return
    with run.test("docker --version and the Docker engine answer"):
        is_ready, run.is_ready = run.is_ready, False
        expect("Docker" in program("docker", "--version"), "no Docker")
        expect(program("docker", "version", "--format", "{{.Server.Version}}").strip(), "no Docker engine")
        run.is_ready = is_ready


def check_containers(run: Run) -> None:
    """What the engines run in."""
    name = ""
    with run.test("the engine's container is listed as active"):
        run.need(run.first)
        listed = run.api.get(f"{ENGINE}/containers")["containers"]
        ours = [one for one in listed if one["session_id"] == run.sessions[run.first][-1]]
        expect(ours and ours[0]["is_active"], listed)
        name, runtime = ours[0]["name"], ours[0]["runtime"]
        expect(run.runtime in ("", runtime), f"engines run in {runtime}, not {run.runtime}")
        run.runtime = runtime
    if run.runtime == "process":
        run.add("Docker", "NOT APPLICABLE", "engines run as local processes")
        return
    with run.test("Docker runs the engine's container"):
        run.need(run.first)
        expect(program("docker", "inspect", "--format", "{{.State.Running}}", name).strip() == "true", name)


def check_strategies(run: Run) -> None:
    """Strategies come and go while the engine trades."""
    engine, added = run.first, ""
    at = f"{ENGINES}/{engine}/strategies"
    with run.test("a strategy is added to a running engine and runs"):
        run.need(engine)
        before = run.api.get(at)["total_count"]
        data = run.api.done("POST", at, {"strategy": run.strategy()})["data"]
        added = data["strategy_id"]
        expect(state_of(data, added) == "RUNNING", data["strategies"])
        expect(run.api.get(at)["total_count"] == before + 1, data["strategies"])
    with run.test("a strategy is stopped while the others trade on"):
        expect(added, "not tried: no strategy was added")
        data = run.api.done("POST", f"{at}/{added}/stop", {"policy": "flatten"})["data"]
        expect(state_of(data, added) == "STOPPED" and not data["not_confirmed"], data)
        run.trades_on(engine)
    with run.test("a strategy is removed"):
        expect(added, "not tried: no strategy was added")
        data = run.api.done("DELETE", f"{at}/{added}")["data"]
        expect(state_of(data, added) is None, data["strategies"])


def check_backtests(run: Run) -> None:
    """A backtest runs to its end and can be read; another is cancelled."""
    kept, cancelled = f"check-{run.mark}-kept", f"check-{run.mark}-cancelled"
    body = {"strategy": "ema_cross", "instruments": [run.bars.get("instrument", "")], **run.span}
    with run.test("a backtest is queued, runs and is completed"):
        run.need_ready()
        run.api.done("POST", f"{ENGINE}/backtest", {"backtest_id": kept, "config": body})
        run.backtests.append(kept)
        until(
            lambda: run.backtest(kept)["status"] in ("completed", "failed", "cancelled"),
            "it has not ended",
            90,
        )
        expect(run.backtest(kept)["status"] == "completed", run.backtest(kept))
        expect(run.backtest(kept)["results"]["trades"], "it has not traded")
    with run.test("its fills are on record"):
        expect(kept in run.backtests, "not tried: no backtest was queued")
        expect(run.api.get(f"{API}/backtests/{kept}/results/fills")["entries"], "there is none")
    with run.test("it is listed"):
        expect(kept in run.backtests, "not tried: no backtest was queued")
        listed = run.api.get(f"{ENGINE}/backtests?limit=1000")["backtests"]
        expect(kept in [one["id"] for one in listed], listed[:3])
    with run.test("a backtest is cancelled"):
        run.need_ready()
        run.api.done("POST", f"{ENGINE}/backtest", {"backtest_id": cancelled, "config": body})
        status, answer = run.api.ask("DELETE", f"{ENGINE}/backtest/{cancelled}")
        is_over = run.backtest(cancelled)["status"]
        # A worker may have been quicker.
        expect((status, is_over) in ((200, "cancelled"), (409, "completed")), (status, is_over, answer))


def check_stops(run: Run) -> None:
    """Stops are confirmed, restarts are new sessions, and neither touches another engine."""
    engine = run.first
    with run.test("a stop closes positions and is confirmed flat"):
        run.need(engine)
        run.fills(engine)
        answer = run.api.done("POST", f"{ENGINES}/{engine}/stop?wait=true&timeout=60", {"policy": "flatten"})
        session = answer["data"]["session"]
        expect(session["session_id"] == run.sessions[engine][-1], "another session was stopped")
        expect(session["state"] == "stopped" and not session["not_confirmed"], session)
        expect(session["stop"] and session["stop"]["is_flat"], session["stop"])
    with run.test("stopping a stopped engine is a success"):
        run.need(engine)
        run.api.done("POST", f"{ENGINES}/{engine}/stop")
    with run.test("a restart is a new session with the last configuration"):
        run.need(engine)
        run.started(engine, run.api.done("POST", f"{ENGINES}/{engine}/restart?wait=true&timeout=60"))
        expect(len(set(run.sessions[engine])) == 2, run.sessions[engine])
        run.trades_on(engine)


def check_emergency(run: Run) -> None:
    """An emergency stop of one engine: confirmed, kept, lifted."""
    engine = run.first
    with run.test("an emergency stop makes the engine flat and gone"):
        run.need(engine)
        run.fills(engine)
        data = run.api.done("POST", f"{ENGINES}/{engine}/emergency-stop", {"reason": "integration test"})[
            "data"
        ]
        (receipt,) = data["receipts"]
        expect(receipt["session_id"] == run.sessions[engine][-1], receipt)
        expect(receipt["confirmed_flat"] and receipt["container_gone"] and not receipt["killed"], receipt)
    with run.test("the engine does not start while the stop is in force"):
        run.need(engine)
        status, answer = run.api.ask("POST", f"{ENGINES}/{engine}/start")
        expect(status == 409, f"answered {status}: {answer}")
    with run.test("it starts again once the stop is lifted"):
        run.need(engine)
        run.api.done("DELETE", f"{ENGINES}/{engine}/emergency-stop")
        run.started(engine, run.api.done("POST", f"{ENGINES}/{engine}/start?wait=true&timeout=60"))
    with run.test("the other engine has traded on in its first session"):
        run.need(run.second)
        run.trades_on(run.second)
    for one in (run.first, run.second):
        with run.test(f"{one} had the sessions that we started and no others"):
            run.need(one)
            listed = run.api.get(f"{ENGINES}/{one}/sessions")["sessions"]
            expect(sorted(session["session_id"] for session in listed) == run.sessions[one], listed)
            expect(not [session for session in listed if session["state"] == "failed"], listed)


def check_cleanup(run: Run) -> None:
    """Nothing is left."""
    for engine in (run.first, run.second):
        with run.test(f"{engine} is stopped and removed"):
            run.need(engine)
            run.api.done("POST", f"{ENGINES}/{engine}/stop?wait=true&timeout=60")
            run.api.done("DELETE", f"{ENGINES}/{engine}")
            expect(run.api.ask("GET", f"{ENGINES}/{engine}")[0] == 404, "it is still known")
    with run.test("cleanup leaves no container of an ended session"):
        run.need_ready()
        ours = {f"nautilus-engine-{one}" for sessions in run.sessions.values() for one in sessions}

        def is_clean() -> bool:
            # A container is there a moment longer than its engine.
            run.api.done("DELETE", f"{ENGINE}/containers/cleanup")
            return not ours & {one["name"] for one in run.api.get(f"{ENGINE}/containers")["containers"]}

        until(is_clean, "a container is left", 30)


CHECKS = (
    check_service,
    check_docker,
    check_templates,
    check_refusals,
    check_engines,
    check_containers,
    check_strategies,
    check_backtests,
    check_stops,
    check_emergency,
    check_cleanup,
)


def state_of(data: Any, strategy_id: str) -> str | None:
    """A strategy's state in an answer."""
    return next((one["state"] for one in data["strategies"] if one["strategy_id"] == strategy_id), None)


def program(*argv: str) -> str:
    """What a program prints; fails when it does not exit with 0."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    expect(done.returncode == 0, f"{' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout


def leave_nothing(run: Run) -> None:
    """Ends what is left of our engines after a failure; whatever cannot be ended is said."""
    for engine in (run.first, run.second) if run.is_ready else ():
        try:
            if run.api.ask("GET", f"{ENGINES}/{engine}")[0] == 404:
                continue
            run.api.ask("DELETE", f"{ENGINES}/{engine}/emergency-stop")
            run.api.ask("POST", f"{ENGINES}/{engine}/stop?wait=true&timeout=30", {"policy": "flatten"})
            status, answer = run.api.ask("DELETE", f"{ENGINES}/{engine}")
            if status != 200:
                print(f"{engine} is left: {answer.get('message')}", file=sys.stderr)
        except (OSError, ValueError) as error:
            print(f"{engine} is left: {error}", file=sys.stderr)


def report(run: Run) -> str:
    """The report in Markdown."""
    counted = [one for one in run.results if one.outcome in ("PASS", "FAIL")]
    passed = sum(one.outcome == "PASS" for one in counted)
    rows = [
        f"| {one.outcome} | {one.name} | {one.seconds:.1f} | {one.detail.replace('|', '/')} |"
        for one in run.results
    ]
    return "\n".join(
        [
            "# Engine integration test",
            "",
            f"**{passed}/{len(counted)} tests passed**",
            "",
            f"Stack: {run.api.url}, runtime: {run.runtime or 'unknown'}, {time.strftime('%Y-%m-%d %H:%M:%SZ', time.gmtime())}",
            "",
            "| Result | Test | Seconds | Detail |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def running_stack() -> dict[str, str]:
    """What the stack of this machine wrote for its clients, found as `flotilla` finds it; empty when none runs."""
    home = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "flotilla"
    usual = Path("/var/lib/flotilla") if os.geteuid() == 0 else home
    file = Path(os.environ.get("FLOTILLA_STATE") or usual) / "connection.json"
    return json.loads(file.read_text()) if file.exists() else {}


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--url", default=os.environ.get("FLOTILLA_URL"), help="default: $FLOTILLA_URL, else the stack here"
    )
    parser.add_argument(
        "--token-file", type=Path, help="default: $FLOTILLA_TOKEN, else the token of the stack here"
    )
    parser.add_argument("--runtime-required", choices=["docker", "any"], default="any")
    names = [check.__name__.removeprefix("check_") for check in CHECKS]
    parser.add_argument("--until", choices=names, help="end after these tests")
    parser.add_argument("--report", type=Path, default=Path("engine-integration-test-report.md"))
    return parser.parse_args()


def main() -> int:
    """Runs every test; 0 when all passed."""
    chosen, here = options(), running_stack()
    url, token = chosen.url or here.get("http_url"), os.environ.get("FLOTILLA_TOKEN", "")
    token_file = chosen.token_file or (None if token else here.get("token_file"))
    if not url or not (token_file or token):
        print(
            "no stack runs here: start one with `flotilla up`, or give --url and --token-file",
            file=sys.stderr,
        )
        return 1
    if token_file:
        token = Path(token_file).read_text().strip()
    runtime = here.get("runtime", "") if url == here.get("http_url") else ""
    run = Run(Api(url.rstrip("/"), token), "docker" if chosen.runtime_required == "docker" else runtime)
    try:
        for check in CHECKS:
            check(run)
            if check.__name__ == f"check_{chosen.until}":
                break
    finally:
        leave_nothing(run)
        chosen.report.write_text(report(run))
    failed = [one for one in run.results if one.outcome == "FAIL"]
    counted = [one for one in run.results if one.outcome in ("PASS", "FAIL")]
    print(f"\n{len(counted) - len(failed)}/{len(counted)} tests passed; see {chosen.report}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
