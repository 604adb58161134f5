"""An emergency stop of the whole fleet, asked of every supervisor in sight: it needs neither gateway, orchestrator nor database."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final, TypeAlias

import msgspec

from flotilla.bus.bus import Bus
from flotilla.bus.endpoint import asked as under_way
from flotilla.bus.logs import get_logger
from flotilla.bus.receipts import (
    Account,
    Ending,
    belied,
    compared,
    completed,
    ended_of,
    lacks_account,
    receipt_of,
)
from flotilla.bus.sightings import Sighted, Sightings
from flotilla.bus.tasks import Tasks
from flotilla.schemas.audit import Caller
from flotilla.schemas.contract import (
    COMMAND_END_NOW,
    ENGINE_HOLDINGS,
    FLEET_STOP_ORDER,
    HOST_EMERGENCY_STOP,
    HOST_LIFT_STOP,
    SESSION_INSPECT,
)
from flotilla.schemas.engine import ReadHoldings
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.schemas.heartbeats import HOST_AWAY_S
from flotilla.schemas.ids import is_id, new_request_id
from flotilla.schemas.session import (
    AroundStopped,
    ContainerFacts,
    ContainerStatus,
    EmergencyReceipt,
    EmergencyStop,
    EndNow,
    FleetStopped,
    HostStopped,
    LiftStop,
    StopFlags,
    StopOrder,
    WhichSession,
    container_name,
)
from flotilla.schemas.telemetry import StopFlag, is_meant

log = get_logger(__name__)

SEARCH_S: Final = 1.2
"""How long hosts are looked for: every supervisor beats once a second."""
ASK_AGAIN_S: Final = 3.0
"""A supervisor that died after it was asked never answers; the next one does. Asking again is safe."""
ANSWER_S: Final = 2.5
"""What killing and answering may take a host after the deadline of a stop."""
ENGINE_SHARE: Final = 0.75
"""Of what is left of the deadline, what an engine that is asked directly gets."""
STEP_S: Final = 0.1
LOOK_S: Final = 1.0

AROUND: Final = (
    "it was told by SIGTERM, around the bus, to end by its own stop policy; what it did is not heard"
)

HELD_S: Final = 5.0
"""How long the record may take to hear of the last fills, before what it has is held against a receipt."""
HELD_ANSWER_S: Final = 1.0
MOST_COMPARED: Final = 1_000
"""In one question to the record; more sessions are more questions."""

Held: TypeAlias = Callable[[tuple[str, ...]], Awaitable[Mapping[str, tuple[str, ...]]]]
"""What of these sessions is open on record, in words. Raises FaultError when the record is away."""
Around: TypeAlias = Callable[[EmergencyStop], Awaitable[AroundStopped]]
"""Stops what runs on one's own host, without the bus; see OwnHost."""


class OwnHost(msgspec.Struct, frozen=True):
    """The host that whoever asks is on, and how to reach what runs there without the bus."""

    host: str
    stop: Around


class FleetStop:
    """One stop under way. Hosts that turn up, or come back, before its deadline are asked too."""

    def __init__(
        self,
        bus: Bus,
        request: EmergencyStop,
        *,
        known_hosts: Iterable[str] = (),
        quiet_hosts: Iterable[str] = (),
        own: OwnHost | None = None,
        held: Held | None = None,
    ) -> None:
        self._bus = bus
        self._held = held or self._held_over_the_bus
        request_id = request.request_id or new_request_id()
        self._request = msgspec.structs.replace(request, request_id=request_id)
        self._own = own
        self._now = asyncio.get_running_loop().time
        self._began = self._now()
        self._deadline = self._began + request.deadline_s
        self._news = asyncio.Event()
        self._seen = Sightings(bus, self._news.set)
        self._is_search_over = False
        self._began_at = datetime.now(UTC)
        self._unheard: set[str] = set()
        self._hosts: dict[str, float | None] = {}
        self._quiet: set[str] = set()
        self._is_kept = False
        self._answers: dict[str, HostStopped] = {}
        self._asked: dict[str, asyncio.Task[Account]] = {}
        self._around: asyncio.Task[AroundStopped] | None = None
        self._tasks = Tasks()
        self.know(known_hosts)
        self.know_quiet(quiet_hosts)
        if own is not None:
            self.know((own.host,))

    def know(self, hosts: Iterable[str]) -> None:
        """Hosts that are asked, in sight or not, and are `unreached` when they do not answer."""
        for host in hosts:
            if is_id(host):
                self._hosts.setdefault(host, None)
        self._news.set()

    def know_all(self, ages_s: Mapping[str, float]) -> None:
        """How long ago each host beat, by somebody who has listened for longer than hosts are looked for here.

        Nobody else is looked for then, once the bus keeps the stop: a host that comes later finds it there before it starts
        anything. Unless one is late, and may be away or not.
        """
        self.know(host for host, age_s in ages_s.items() if age_s <= SEARCH_S)
        self._is_search_over = not any(SEARCH_S < age_s <= HOST_AWAY_S for age_s in ages_s.values())

    def know_quiet(self, hosts: Iterable[str]) -> None:
        """Hosts on which nothing runs on record: they are waited for only once they are in sight, and named as `untold`."""
        self._quiet |= {host for host in hosts if is_id(host)}

    def know_sessions(self, sessions: Iterable[Sighted]) -> None:
        """Sessions that ran when the stop began: each is told of in the end, whether it was heard or not."""
        for session in sessions:
            if session.instance_id not in self._seen.engines:
                self._unheard.add(session.session_id)
                self._seen.saw(session)

    async def run(self) -> FleetStopped:
        """Raises FaultError `unavailable` without a bus, and for nothing else."""
        async with self._seen.open():
            self._tasks.start(self._keep(), name="keep")
            try:
                while not self._is_over():
                    self.know(self._seen.hosts)
                    self._news.clear()
                    self._ask_hosts()
                    if self._is_some_host_away():
                        self._ask_engines()
                        self._go_around()
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._news.wait(), STEP_S)
                await self._look_at_the_rest()
            finally:
                await self._tasks.close()
        return await self._beside_the_record(self._summary())

    async def _beside_the_record(self, done: FleetStopped) -> FleetStopped:
        """Nothing is called flat that the record has open; it hears of the last fills a moment after they happened.

        A record that cannot be reached at all says nothing for or against anybody; one that is there and does not answer in
        time leaves a doubt on each session that it did not tell of.
        """
        flat = tuple(receipt.session_id for receipt in done.receipts if receipt.is_flat)
        try:
            known = await self._told_by_the_record(flat)
        except FaultError as error:
            log.info("receipts are not compared with the record", error=repr(error))
            return done
        return msgspec.structs.replace(done, receipts=tuple(compared(one, known) for one in done.receipts))

    async def _told_by_the_record(self, flat: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
        """What it has open of each session that it told of, asked until it is nothing. Raises FaultError while it told of none."""
        known: dict[str, tuple[str, ...]] = {}
        until = min(self._now() + HELD_S, self._deadline + ANSWER_S)
        last_s = max(until, self._now() + HELD_ANSWER_S)
        asked = flat
        while asked:
            try:
                async with asyncio.timeout_at(last_s):
                    for at in range(0, len(asked), MOST_COMPARED):
                        some = asked[at : at + MOST_COMPARED]
                        held = await self._held(some)
                        known |= {session_id: held.get(session_id, ()) for session_id in some}
            except FaultError as error:
                if not known:
                    raise
                log.warning("some receipts are not compared with the record", error=repr(error))
                break
            except Exception:  # what the engines did is told, whatever the record does
                log.exception("receipts cannot be compared with the record")
                break
            asked = tuple(session_id for session_id in asked if known[session_id])
            if self._now() >= until:
                break
            await asyncio.sleep(STEP_S if asked else 0)
        return known

    async def _held_over_the_bus(self, session_ids: tuple[str, ...]) -> Mapping[str, tuple[str, ...]]:
        # Longer than whoever asks us waits: that nobody answers the call is a fault, a late answer is a timeout.
        answer = await self._bus.call(
            ENGINE_HOLDINGS, ReadHoldings(session_ids=session_ids), timeout_s=HELD_S
        )
        return answer.held

    async def _keep(self) -> None:
        """Has the bus keep the stop for hosts that cannot be asked now; it is neither waited for nor needed where they answer."""
        order = StopOrder(
            order_id=self._request.request_id or "",
            at=self._began_at,
            instance_id=self._request.instance_id,
            reason=self._request.reason,
            caller=said_by(self._bus),
        )
        while True:
            try:
                await keep_order(self._bus, order)
            except FaultError as error:
                log.warning("the stop is not kept yet", error=str(error))
                await asyncio.sleep(LOOK_S)
            else:
                self._is_kept = True
                self._news.set()
                return

    def _is_over(self) -> bool:
        now = self._now()
        if now >= self._deadline + ANSWER_S:
            return True
        if not self._has_searched(now) or self._is_around_under_way():
            return False
        if self._hosts:
            return not self._unreached()
        # Nobody to set a flag, and nothing to stop: there is nothing to wait for.
        return now >= self._began + HOST_AWAY_S and not any(self._meant())

    def _has_searched(self, now: float) -> bool:
        return now >= self._began + SEARCH_S or (self._is_search_over and self._is_kept)

    def _is_around_under_way(self) -> bool:
        return self._around is not None and not self._around.done()

    def _is_some_host_away(self) -> bool:
        return self._began + HOST_AWAY_S <= self._now() and (
            not self._hosts or any(self._is_away(host) for host in self._hosts if host not in self._answers)
        )

    def _is_away(self, host: str) -> bool:
        return self._now() - max(self._began, self._seen.hosts.get(host, 0.0)) >= HOST_AWAY_S

    @property
    def _left_s(self) -> float:
        return max(1.0, self._deadline - self._now())

    def _ask_hosts(self) -> None:
        for host, asked_at in self._hosts.items():
            if host in self._answers or (asked_at is not None and self._now() - asked_at < ASK_AGAIN_S):
                continue
            self._hosts[host] = self._now()
            self._tasks.start(self._ask_host(host), name=f"ask:{host}")

    async def _ask_host(self, host: str) -> None:
        request = msgspec.structs.replace(self._request, deadline_s=self._left_s)
        try:
            answer = await self._bus.call(
                HOST_EMERGENCY_STOP, request, timeout_s=self._left_s + ANSWER_S, host=host
            )
        except (FaultError, msgspec.DecodeError) as error:
            log.warning("host does not do what all were asked", host=host, error=str(error))
        else:
            self._answers.setdefault(host, answer)
            self._news.set()

    def _meant(self) -> Iterator[Sighted]:
        for beat in self._seen.engines.values():
            if not beat.is_worker and is_meant(self._request.instance_id, beat.instance_id):
                yield beat

    def _ask_engines(self) -> None:
        for beat in self._meant():
            if beat.session_id not in self._asked:
                self._asked[beat.session_id] = self._tasks.start(
                    self._ask_engine(beat), name=f"end:{beat.session_id}"
                )

    async def _ask_engine(self, beat: Sighted) -> Account:
        """Asks a sidecar until it answers, or has said on its own feed that it ended."""
        problem = ""
        while self._now() < self._deadline and beat.session_id not in self._seen.ends:
            end_now = EndNow(session_id=beat.session_id, deadline_s=self._left_s * ENGINE_SHARE)
            try:
                ended = await self._bus.call(
                    COMMAND_END_NOW, end_now, timeout_s=self._left_s, instance_id=beat.instance_id
                )
            except (FaultError, ValueError) as error:
                problem = f"its sidecar did not do it: {error}"
                await asyncio.sleep(STEP_S)
            else:
                return Account(ended=ended, ms=self._ms())
        return Account(problem=problem or "its sidecar did not answer")

    def _go_around(self) -> None:
        own = self._own
        if (
            own is None
            or self._around is not None
            or own.host in self._answers
            or not self._is_away(own.host)
        ):
            return
        request = msgspec.structs.replace(self._request, deadline_s=self._left_s)
        log.warning("the supervisor of this host is away: its engines are stopped around it", host=own.host)
        self._around = self._tasks.start(_of_own(own, request), name="around")

    async def _look_at_the_rest(self) -> None:
        """Asks the hosts in sight about the sessions of which nobody gave a receipt, and what those said last."""
        told = {session_id for session_id, receipt in self._told().items() if not lacks_account(receipt)}
        looks = [
            self._look(host, beat.session_id)
            for beat in self._meant()
            if beat.session_id not in told and not _has_ended(self._seen.containers.get(beat.session_id))
            for host in self._hosts
            if not self._is_away(host)
        ]
        unheard = [
            self._seen.look_back(beat, timeout_s=LOOK_S)
            for beat in self._meant()
            if beat.session_id not in told and beat.session_id not in self._seen.ends
        ]
        await asyncio.gather(*looks, *unheard)

    async def _look(self, host: str, session_id: str) -> None:
        try:
            facts = await self._bus.call(
                SESSION_INSPECT, WhichSession(session_id=session_id), timeout_s=LOOK_S, host=host
            )
        except (FaultError, msgspec.DecodeError):
            return  # It is not there, or nobody says so: what is known stays what it is.
        self._seen.containers[session_id] = facts

    def _told(self) -> dict[str, EmergencyReceipt]:
        """The receipts of hosts, by session."""
        receipts = (receipt for answer in self._answers.values() for receipt in answer.receipts)
        return {receipt.session_id: self._beside_its_event(receipt) for receipt in receipts}

    def _beside_its_event(self, receipt: EmergencyReceipt) -> EmergencyReceipt:
        end = self._seen.ends.get(receipt.session_id)
        if end is None:
            return receipt
        if not lacks_account(receipt):
            return belied(receipt, end)
        # Its host asked when it had said its last.
        facts = self._seen.containers.get(receipt.session_id)
        return receipt if facts is None or not _has_ended(facts) else completed(receipt, end, facts)

    def _unreached(self) -> tuple[str, ...]:
        around = self._around_result()
        done = {around.host} if around is not None and not around.problem else set()
        return tuple(sorted(self._hosts.keys() - self._answers.keys() - done))

    def _around_result(self) -> AroundStopped | None:
        around = self._around
        return around.result() if around is not None and around.done() and not around.cancelled() else None

    def _summary(self) -> FleetStopped:
        around, told = self._around_result(), self._told()
        mine = {} if around is None else {one.session.session_id: one for one in around.endings}
        self._seen.containers |= {facts.session_id: facts for facts in around.others} if around else {}
        known = {one.session.session_id: one.session for one in mine.values()} | {
            beat.session_id: self._session(beat)
            for beat in self._meant()
            if not self._was_over(beat.session_id)
        }
        receipts = dict(told)
        for session_id, session in known.items():
            if session_id in told and (told[session_id].is_gone or session_id not in mine):
                continue
            ended = mine.get(session_id)
            ending = (
                Ending(facts=ended.session, problem=ended.problem, ms=ended.ms)
                if ended
                else self._ending(session_id)
            )
            account = self._account(session, around=ended is not None)
            receipt = self._beside_its_event(receipt_of(session, account, ending))
            is_around = ended is not None and account.ended is None
            receipts[session_id] = msgspec.structs.replace(receipt, is_around_bus=is_around)
        flags = [answer.flags for answer in self._answers.values()]
        return FleetStopped(
            receipts=_by_engine(receipts.values()),
            flags=_merged([*flags, around.flags] if around else flags),
            unreached=self._unreached(),
            milliseconds=self._ms(),
            untold=tuple(sorted(self._quiet - self._hosts.keys())),
            is_kept=self._is_kept,
        )

    def _was_over(self, session_id: str) -> bool:
        """True for a session that had ended before the stop began, and that the record has not seen to yet."""
        facts = self._seen.containers.get(session_id)
        ended_at = facts.finished_at if facts is not None and _has_ended(facts) else None
        return session_id in self._unheard and ended_at is not None and ended_at < self._began_at

    def _session(self, beat: Sighted) -> ContainerFacts:
        if (facts := self._seen.containers.get(beat.session_id)) is not None:
            return facts
        return ContainerFacts(
            session_id=beat.session_id,
            instance_id=beat.instance_id,
            generation=beat.generation,
            host=next(iter(self._hosts)) if len(self._hosts) == 1 else "unknown",
            name=container_name(beat.session_id),
            status=ContainerStatus.RUNNING,
            runtime="",
        )

    def _account(self, session: ContainerFacts, *, around: bool) -> Account:
        from_event = self._seen.ends.get(session.session_id)
        asked = self._asked.get(session.session_id)
        said = asked.result() if asked is not None and asked.done() and not asked.cancelled() else None
        if said is not None and said.ended is not None:
            return said
        if from_event is not None:
            return Account(ended=ended_of(session, from_event))
        if around:
            return Account(problem=AROUND)
        return said or Account(problem="its host gave no receipt of it")

    def _ending(self, session_id: str) -> Ending:
        facts = self._seen.containers.get(session_id)
        if _has_ended(facts):
            return Ending(facts=facts)
        if facts is not None:
            return Ending(problem="it may still run", facts=facts)
        return Ending(problem="whether it still runs is not known: no host that answers has it")

    def _ms(self) -> float:
        return round((self._now() - self._began) * 1000, 3)


async def stop_fleet(
    bus: Bus,
    request: EmergencyStop,
    *,
    known_hosts: Iterable[str] = (),
    quiet_hosts: Iterable[str] = (),
    own: OwnHost | None = None,
    held: Held | None = None,
) -> FleetStopped:
    """Asks each host to set its stop flag and to make what it names flat and gone; each begins as soon as it is found.

    It goes on asking until the deadline, and then says what it knows within ANSWER_S. While a host is away its engines are asked
    directly, and those of `own` are stopped without the bus. `known_hosts` are asked too, whether in sight or not. What is said to
    be flat is compared with the record, by `held` or else over the bus, where that answers. A host that
    does not answer as it should is `unreached`; of `quiet_hosts`, on which nothing runs on record, those out of sight are
    `untold`. The bus keeps the stop for both, and they make it true when they come back. Raises FaultError `unavailable` without a bus, and for nothing else.
    """
    stop = FleetStop(bus, request, known_hosts=known_hosts, quiet_hosts=quiet_hosts, own=own, held=held)
    return await stop.run()


async def stop_around(own: OwnHost, request: EmergencyStop) -> FleetStopped:
    """The same of one's own host alone, for when there is no bus. Nothing is heard of orders and positions then."""
    now = asyncio.get_running_loop().time
    began = now()
    around = await _of_own(own, request)
    receipts = (
        msgspec.structs.replace(
            receipt_of(
                one.session,
                Account(problem=AROUND),
                Ending(facts=one.session, problem=one.problem, ms=one.ms),
            ),
            is_around_bus=True,
        )
        for one in around.endings
    )
    return FleetStopped(
        receipts=_by_engine(receipts),
        flags=around.flags,
        unreached=(around.host,) if around.problem else (),
        milliseconds=round((now() - began) * 1000, 3),
    )


async def lift_stops(
    bus: Bus, request: LiftStop, *, known_hosts: Iterable[str] = (), quiet_hosts: Iterable[str] = ()
) -> StopFlags:
    """Lifts flags on each host; answers with those that are still in force. See stop_fleet for `unreached` and `untold`.

    The bus keeps it first, for hosts that cannot be asked now. Raises FaultError `unavailable` when it does not, or when there is
    no host to ask: nothing is lifted then.
    """
    request_id = request.request_id or new_request_id()
    request = msgspec.structs.replace(request, request_id=request_id)
    order = StopOrder(
        order_id=request_id,
        at=datetime.now(UTC),
        is_lift=True,
        instance_id=request.instance_id,
        caller=said_by(bus),
    )
    quiet = {host for host in quiet_hosts if is_id(host)}
    answers: dict[str, StopFlags] = {}
    unreached: set[str] = set()
    asking, seen = Tasks(), Sightings(bus)

    async def ask(host: str) -> None:
        try:
            answers[host] = await bus.call(HOST_LIFT_STOP, request, host=host)
        except (FaultError, msgspec.DecodeError) as error:
            log.warning("host does not lift its stops", host=host, error=str(error))
            unreached.add(host)

    async def ask_new(hosts: Iterable[str]) -> None:
        for host in [host for host in hosts if is_id(host) and host not in asked]:
            if not asked:
                await keep_order(bus, order)
            if host not in asked:
                asked.add(host)
                asking.start(ask(host), name=f"lift:{host}")

    asked: set[str] = set()
    now = asyncio.get_running_loop().time
    until = now() + SEARCH_S
    async with seen.open():
        try:
            await ask_new(known_hosts)
            while now() < until:
                await ask_new(seen.hosts)
                await asyncio.sleep(STEP_S)
            await asking.join()
        finally:
            await asking.close()
    if not asked:
        raise fault(FaultCode.UNAVAILABLE, "no host is in sight: no stop was lifted", retry_after_s=1.0)
    flags = _merged(answer.flags for answer in answers.values())
    return StopFlags(flags=flags, unreached=tuple(sorted(unreached)), untold=tuple(sorted(quiet - asked)))


async def keep_order(bus: Bus, order: StopOrder) -> None:
    """Has the bus keep a stop or a lift, for hosts that cannot be asked now. Raises FaultError `unavailable`."""
    # With its time: the same stop may be asked for again after it was lifted, and is in force again then.
    await bus.publish_durable(FLEET_STOP_ORDER, order, message_id=f"{order.at}-{order.order_id}")


def said_by(bus: Bus) -> Caller:
    """Whom this connection speaks for: whoever asked for the command under way, or who it says that it is."""
    return under_way().caller if under_way().body else bus.introduction() or Caller()


async def _of_own(own: OwnHost, request: EmergencyStop) -> AroundStopped:
    """Whatever goes wrong is said: it is the last resort."""
    try:
        async with asyncio.timeout(request.deadline_s + ANSWER_S):
            return await own.stop(request)
    except TimeoutError:
        return AroundStopped(host=own.host, problem="its runtime did not answer in time")
    except Exception as error:  # others were asked too, and their answers count
        log.exception("own host not stopped", host=own.host)
        return AroundStopped(host=own.host, problem=str(error))


def _has_ended(facts: ContainerFacts | None) -> bool:
    return facts is not None and facts.status in (ContainerStatus.EXITED, ContainerStatus.GONE)


def _by_engine(receipts: Iterable[EmergencyReceipt]) -> tuple[EmergencyReceipt, ...]:
    return tuple(sorted(receipts, key=lambda receipt: (receipt.instance_id, receipt.session_id)))


def _merged(flags: Iterable[tuple[StopFlag, ...]]) -> tuple[StopFlag, ...]:
    """One per engine, the oldest of each: the hosts of a fleet set the same flag a moment apart."""
    oldest: dict[str | None, StopFlag] = {}
    for flag in (flag for each in flags for flag in each):
        if flag.instance_id not in oldest or flag.since < oldest[flag.instance_id].since:
            oldest[flag.instance_id] = flag
    return tuple(sorted(oldest.values(), key=lambda flag: flag.instance_id or ""))
