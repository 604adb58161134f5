"""Engines that trade, freeze, crash and lie as told: `plan.node` is {"script": name, …its arguments}. Speaks the real link."""

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from flotilla.engine_sidecar.link.asking import Answer, Ask, Intervene, StartStrategy
from flotilla.engine_sidecar.link.frames import (
    BrakeTaken,
    Ended,
    EndNow,
    Frames,
    GateShut,
    GoOn,
    Happened,
    Measured,
    Phase,
    PutBrake,
    Reduce,
    Run,
    Stop,
    Tick,
    ToEngine,
    frame,
)
from flotilla.schemas.fault import Fault, FaultCode
from flotilla.schemas.states import FailureReason, RunState, StopPolicy
from flotilla.schemas.strategy import StrategyView
from flotilla.schemas.telemetry import (
    Alert,
    EngineMetrics,
    EventKind,
    Fill,
    OrderUpdate,
    Severity,
    StopReport,
)


class Engine:
    """The parts that every script uses: a link thread that ticks, and a "loop" that turns when `turn` is called."""

    def __init__(self, own: socket.socket) -> None:
        self.socket = own
        self._lock = threading.Lock()
        self._frames = Frames[ToEngine](ToEngine)
        self._turned_at = time.monotonic()
        self.commands: deque[ToEngine] = deque()
        first = next(self._messages())
        assert isinstance(first, Run)
        self.run = first

    def _messages(self) -> Iterator[ToEngine]:
        while data := self.socket.recv(1 << 16):
            yield from self._frames.feed(data)
        os._exit(70)  # like the real engine: never without a sidecar

    def start_link(self) -> None:
        threading.Thread(target=self._tick, daemon=True).start()
        threading.Thread(target=self._listen, daemon=True).start()

    def _tick(self) -> None:
        while True:
            self.send(Tick(loop_age_s=time.monotonic() - self._turned_at))
            time.sleep(0.1)

    def _listen(self) -> None:
        for command in self._messages():
            self.commands.append(command)

    def send(self, message: object) -> None:
        with self._lock:
            self.socket.sendall(frame(message))

    def turn(self) -> None:
        self._turned_at = time.monotonic()
        time.sleep(0.01)

    def enter(self, *states: RunState) -> None:
        for state in states:
            self.send(Phase(state))

    def fill(self, number: int) -> None:
        self.send(Happened(EventKind.FILL, msgspec.json.encode(sample_fill(number))))

    def alert(self, code: str, message: str = "") -> None:
        alert = Alert(severity=Severity.INFO, code=code, message=message or code)
        self.send(Happened(EventKind.ALERT, msgspec.json.encode(alert)))

    def measure(self, fills: int, **figures: Any) -> None:
        metrics = EngineMetrics(
            instance_id=self.run.instance_id,
            session_id=self.run.session_id,
            at_ns=1,
            fills_total=fills,
            **figures,
        )
        self.send(Measured(msgspec.json.encode(metrics)))


def sample_fill(number: int) -> Fill:
    return Fill(
        trade_id=f"T-{number}",
        client_order_id=f"O-{number}",
        instrument_id="SPX.SIM",
        strategy_id="EMACross-000",
        side="BUY",
        last_qty="10",
        last_px="1234.50",
        currency="USD",
        commission="0.00 USD",
        liquidity_side="TAKER",
        ts_event=1_700_000_000_000_000_000 + number,
    )


def run(own: socket.socket) -> int:
    engine = Engine(own)
    node = dict(engine.run.plan.node)
    return SCRIPTS[node.pop("script")](engine, **node)


def start(engine: Engine) -> None:
    engine.start_link()
    engine.enter(RunState.CONNECTING, RunState.RECONCILING, RunState.TRADING)


def trade(engine: Engine, every_s: float = 0.5, not_confirmed: tuple[str, ...] = ()) -> int:
    """Trades until it is stopped, and says which commands it got."""
    start(engine)
    print("trading", flush=True)
    fills, due = 0, time.monotonic()
    while True:
        engine.turn()
        if time.monotonic() >= due:
            fills, due = fills + 1, due + every_s
            engine.fill(fills)
            engine.measure(fills)
        while engine.commands:
            match engine.commands.popleft():
                case PutBrake(brake=brake):
                    engine.alert(f"brake {brake.brake}")
                    engine.send(BrakeTaken(brake))
                case Reduce():
                    engine.alert("reduces")
                case GoOn():
                    engine.alert("goes on")
                case Ask() as asked:
                    if isinstance(asked.question, Intervene):
                        print(f"withdraws by {asked.question.policy}", flush=True)
                    engine.send(answer_to(asked))
                case Stop(policy=policy, timeout_s=timeout_s):
                    print(f"stopping {policy} within {timeout_s:g} s", flush=True)
                    return end(engine, policy, tuple(not_confirmed))
                case EndNow(timeout_s=timeout_s):
                    print(f"ending within {timeout_s:g} s", flush=True)
                    return end(engine, StopPolicy.FLATTEN, tuple(not_confirmed))


def end(engine: Engine, policy: StopPolicy, not_confirmed: tuple[str, ...] = ()) -> int:
    engine.enter(RunState.STOPPING)
    engine.send(GateShut())
    report = StopReport(policy=policy, orders_cancelled=2, is_flat=not not_confirmed, stop_ms=12.5)
    engine.send(Ended(None, "", not_confirmed, report))
    return 0


def answer_to(asked: Ask) -> Answer:
    if isinstance(asked.question, StartStrategy):
        return Answer(asked.number, fault=Fault(code=FaultCode.NOT_FOUND, message="no such strategy"))
    if isinstance(asked.question, Intervene):
        left = ("order O-1 still open",) if asked.question.policy is StopPolicy.CANCEL else ()
        return Answer(asked.number, not_confirmed=left, orders_cancelled=2, positions_closed=1)
    view = StrategyView(strategy_id="EMACross-000", state="RUNNING", strategy_class="a:EMACross")
    return Answer(asked.number, (view,), "done", "EMACross-000")


def ails(engine: Engine, for_s: float = 3.0, **figures: Any) -> int:
    """Trades as it says, and measures that it does not; gets well after a while."""
    start(engine)
    began = due = time.monotonic()
    while not engine.commands:
        engine.turn()
        if (now := time.monotonic()) >= due:
            due = now + 0.3
            sick = now - began < for_s
            engine.measure(0, **(msgspec.to_builtins(figures) if sick else {}))
    return end(engine, StopPolicy.FLATTEN)


def blabs(engine: Engine, secret: str) -> int:
    """Says a secret wherever something can be said."""
    start(engine)
    print(f"key={secret} and {json.dumps(secret)}", flush=True)
    engine.alert("blabbed", f"the key is {secret}")
    order = OrderUpdate(
        event="OrderRejected",
        client_order_id="O-1",
        instrument_id="SPX.SIM",
        strategy_id="A-000",
        status="REJECTED",
        side="BUY",
        order_type="MARKET",
        quantity="1",
        filled_qty="0",
        time_in_force="GTC",
        ts_event=1,
        reason=f"bad key {secret}",
    )
    engine.send(Happened(EventKind.ORDER, msgspec.json.encode(order)))
    engine.send(Phase(RunState.STOPPING, f"key {secret}"))
    engine.send(Ended(FailureReason.VENUE, f"refused: {secret}", (f"order {secret}",)))
    return 1


def flood(engine: Engine, events: int) -> int:
    """Says very much at once."""
    start(engine)
    for number in range(1, events + 1):
        engine.fill(number)
    return serve(engine)


def babbles(engine: Engine) -> int:
    """Trades, and says over and over that it is in states in which it cannot be."""
    start(engine)
    for _ in range(1_000):
        engine.enter(RunState.CONNECTING, RunState.STOPPED)
    engine.alert("babbled")
    return serve(engine)


def serve(engine: Engine) -> int:
    while not any(isinstance(command, Stop) for command in list(engine.commands)):
        engine.turn()
    engine.send(Ended(None))
    return 0


def exits(engine: Engine, code: int, after_s: float = 0.0) -> int:
    start(engine)
    time.sleep(after_s)
    for i in range(30):
        print(f"line {i}", flush=True)
    print("about to exit", file=sys.stderr, flush=True)
    sys.exit(code)


def raises(engine: Engine) -> int:
    start(engine)
    raise ValueError("boom in on_bar")


def ends(engine: Engine, reason: str | None, detail: str = "") -> int:
    """Ends by itself, with a word."""
    start(engine)
    engine.send(Ended(FailureReason(reason) if reason else None, detail))
    return 0 if reason is None else 1


def segfaults(engine: Engine) -> int:
    start(engine)
    ctypes.string_at(0)
    return 0


def spins(engine: Engine, for_s: float = 600.0) -> int:
    """A strategy with an endless loop: the link thread still runs."""
    start(engine)
    until = time.monotonic() + for_s
    while time.monotonic() < until:
        pass
    return serve(engine)


def holds_gil(engine: Engine) -> int:
    """A native call that never returns and holds the GIL: no thread of Python runs."""
    start(engine)
    time.sleep(0.3)
    ctypes.PyDLL(None).sleep(600)
    return 0


def silent(_: Engine) -> int:
    """Never says a word."""
    time.sleep(600)
    return 0


def never_connects(engine: Engine) -> int:
    engine.start_link()
    engine.enter(RunState.CONNECTING)
    while True:
        engine.turn()


def deaf(engine: Engine) -> int:
    """Does not stop."""
    start(engine)
    while True:
        engine.turn()


def hangs_up(engine: Engine) -> int:
    engine.enter(RunState.TRADING)
    engine.socket.shutdown(socket.SHUT_RDWR)
    time.sleep(600)
    return 0


def talks_rubbish(engine: Engine) -> int:
    start(engine)
    engine.socket.sendall(b"\0\0\0\5hello")
    time.sleep(600)
    return 0


def invents_events(engine: Engine) -> int:
    """Events that are none, then a good one."""
    start(engine)
    engine.send(Happened(EventKind.FILL, b'{"trade_id":1}'))
    engine.send(Happened(EventKind.FILL, b"not json"))
    engine.send(Happened(EventKind.STATE, b'{"state":"stopped"}'))
    engine.fill(1)
    return serve(engine)


def prints(engine: Engine, lines: int, after_s: float = 0.0) -> int:
    start(engine)
    time.sleep(after_s)
    sys.stdout.buffer.write(b"not utf-8: \xff\xfe\n" + b"x" * 40_000 + b"\n")
    for i in range(lines):
        sys.stdout.buffer.write(b"line %d %s\n" % (i, b"y" * 80))
    sys.stdout.buffer.flush()
    engine.alert("printed")
    return serve(engine)


def hogs(engine: Engine, mib: int) -> int:
    start(engine)
    engine.memory = [bytearray(os.urandom(1 << 20)) for _ in range(mib)]  # type: ignore[attr-defined]
    return serve(engine)


def breeds(engine: Engine) -> int:
    """Leaves processes behind, in sessions of their own."""
    start(engine)
    for _ in range(3):
        child = subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True
        )
        print(f"child {child.pid}", flush=True)
    engine.alert("bred")
    return serve(engine)


def killed(engine: Engine) -> int:
    start(engine)
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


SCRIPTS: dict[str, Callable[..., int]] = {
    script.__name__: script
    for script in (
        trade,
        babbles,
        ails,
        blabs,
        flood,
        exits,
        raises,
        ends,
        segfaults,
        spins,
        holds_gil,
        silent,
        never_connects,
        deaf,
        hangs_up,
        talks_rubbish,
        invents_events,
        prints,
        hogs,
        breeds,
        killed,
    )
}
