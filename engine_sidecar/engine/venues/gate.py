"""Holds strategies back until engine and venues agree on orders and positions, and says so whenever they do not.

NautilusTrader's own verdict is not enough: its reconciliation answers True for a repair that failed, for a report that failed inside
an adapter, and for a position in an instrument that is not loaded. So the venues are asked again, after it and all the time.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Coroutine
from typing import Any, Final

import msgspec

from flotilla.engine_sidecar.engine.venues.catching_up import (
    Behind,
    ask_for_trades_first,
    take,
    together,
    unheard,
)
from flotilla.engine_sidecar.engine.venues.claims import Claims, TellOrder
from flotilla.engine_sidecar.engine.venues.comparison import Difference, Seen, Side, differences, without
from flotilla.engine_sidecar.engine.venues.foreign import ForeignFills
from flotilla.engine_sidecar.engine.venues.moving import Lasting, Moving
from flotilla.engine_sidecar.engine.venues.reconnects import Reconnects
from flotilla.engine_sidecar.engine.venues.reports import ReportsFailed, VenueReports, in_time
from flotilla.schemas.states import StopPolicy

LOOK_EVERY_S: Final = 5.0
AGAIN_S: Final = 1.5
"""Between the look that sees a difference and the one that confirms it: a drift is named within 10 s."""
WHOLE_EVERY: Final = 12
"""Each so many looks one asks for the orders of all instruments; the others for those that the engine has to do with, which costs
Binance's limit a tenth."""
WHOLE_AGAIN_S: Final = 20.0
"""After a reconnect one asks for all of them too, unless another did so less long ago."""
SILENT_S: Final = 20.0
CONFIRM_S: Final = 3.0
"""What venues are left at least to confirm what the engine believes once it has left the market."""
ASK_AGAIN_S: Final = 0.5
"""After a report that failed then; twice as long after each further one, so that no limit of requests is used up."""
_ACCEPTED: Final = "flotilla-accepted-differences"
_DECODER: Final = msgspec.json.Decoder(tuple[Difference, ...])

type Tell = Callable[[tuple[Difference, ...]], None]
type Reconcile = Callable[[], Coroutine[Any, Any, bool]]


class VenueGate:
    """Compares the node with its venues. `tell` is called with what differs whenever that changes, with nothing once all agrees."""

    def __init__(
        self,
        kernel: Any,
        reports: VenueReports,
        tell: Tell,
        now: Callable[[], float],
        *,
        tell_order: TellOrder,
    ) -> None:
        self._kernel, self._reports, self._tell, self._now = kernel, reports, tell, now
        self._foreign = ForeignFills(kernel, reports.clients)
        self._reconnects = Reconnects(reports.clients)
        self._claims = Claims(kernel, reports.clients, tell_order)
        self._seen = Seen()
        self._unexplained = Lasting()
        self._accepted: tuple[Difference, ...] = ()
        self._silent: dict[str, tuple[float, str]] = {}
        self._filled: dict[str, Behind] = defaultdict(dict)
        """By client what orders that ended for the engine the venue has filled further."""
        self._one_at_a_time = asyncio.Lock()
        self.last_fault = ""
        """Why orders and positions are still not known at the start."""

    @property
    def is_needed(self) -> bool:
        """False where nothing is traded at a venue."""
        return bool(self._reports.clients)

    @property
    def told(self) -> tuple[Difference, ...]:
        """What engine and venues do not agree on, as it was told last."""
        return self._seen.told

    @property
    def reconnects(self) -> dict[str, int]:
        """How often the private streams of each execution client were connected anew."""
        return dict(self._reconnects.counts)

    def ask_for_trades_first(self) -> None:
        """Has NautilusTrader's own checks of orders ask for trades, too, before they make any up."""
        ask_for_trades_first(self._kernel.exec_engine, self._reports.clients, self._catch_up)

    def is_claim(self, event: Any) -> bool:
        """True for an order's end that the venue's open orders have to bear out."""
        return self._claims.is_claim(event)

    def not_compared(self) -> tuple[str, ...]:
        """The venues that have not said for a while what they have, each with what came of the first question."""
        now = self._now()
        return tuple(
            f"{client} does not report its orders and positions: {why}"
            for client, (since, why) in self._silent.items()
            if now - since > SILENT_S
        )

    def accept(self) -> tuple[Difference, ...]:
        """Takes what differs now as it is, also after restarts of an engine that keeps its state; returns it."""
        taken = self.told
        for each in taken:
            if each.what == "change":
                self._foreign.forget(each.client, each.instrument)
        self._keep((*self._accepted, *(each for each in taken if each.what != "change")))
        return taken

    def forget_closed(self) -> None:
        """A person wanted all positions closed: those that others closed are no difference any more."""
        self._foreign.forget_closed()

    async def reconciled(
        self, reconcile: Reconcile, on_reconciled: Callable[[], None], within_s: float
    ) -> bool:
        """Reconciles, and returns once both sides agree; what they do not agree on waits for a person, or for the venue.

        `on_reconciled` is called in between. NautilusTrader's verdict counts only where nothing is traded at a venue: False when it says
        that it failed. Raises ReportsFailed when a venue does not report within `within_s`.
        """
        if not self._reports.clients:
            if is_done := await reconcile():
                on_reconciled()
            return is_done
        self._restore()
        deadline = self._now() + within_s
        if not await self._without_faults(reconcile, deadline):
            self._kernel.logger.warning(
                "NautilusTrader says that its reconciliation failed: what the venues have is compared all the same"
            )
        on_reconciled()
        while await self._differs(deadline):
            await asyncio.sleep(AGAIN_S)
            deadline = max(deadline, self._now() + within_s) if self.told else deadline
        return True

    async def watch(self) -> None:
        """Looks every few seconds while the engine trades, and at once when a private stream was connected anew."""
        count, looked_at, whole_at = 0, self._now(), self._now()
        while self._reports.clients:
            is_doubtful = len(self._seen.suspected) > len(self.told) or self._unexplained.is_any
            is_anew = await self._reconnects.within(AGAIN_S if is_doubtful else LOOK_EVERY_S)
            # A connection that comes and goes must not use up the venue's limit of requests.
            await asyncio.sleep(AGAIN_S - (self._now() - looked_at) if is_anew else 0)
            if self._kernel.trader.is_running:
                count += 1
                is_whole = count % WHOLE_EVERY == 0 or (is_anew and self._now() - whole_at > WHOLE_AGAIN_S)
                whole_at = self._now() if is_whole else whole_at
                await self._look(is_whole=is_whole)
            looked_at = self._now()

    async def not_agreed(self, policy: StopPolicy, until: float) -> tuple[str, ...]:
        """What engine and venues do not agree on once the engine has left the market by that policy, in words, or why that is not known.

        What a person accepted is no exception: it is there. `until` is a time of `now`; until then a venue whose report fails is
        asked again.
        """
        clients = self._reports.clients if policy is not StopPolicy.LEAVE else ()
        found: list[str] = []
        for client in clients:
            try:
                found += map(str, await self._patiently(client, policy, until))
            except ReportsFailed as error:
                found.append(f"not confirmed by the venue: {error}")
        return tuple(found)

    async def _patiently(self, client: Any, policy: StopPolicy, until: float) -> list[Difference]:
        pause_s = ASK_AGAIN_S
        while True:
            try:
                return await in_time(self._lasting(client, policy), until - self._now())
            except ReportsFailed:
                if self._now() + pause_s >= until:
                    raise
            await asyncio.sleep(pause_s)
            pause_s *= 2

    async def _lasting(self, client: Any, policy: StopPolicy) -> list[Difference]:
        first = await self._compared(client, policy)
        if not first:
            return []
        await asyncio.sleep(AGAIN_S / 3)
        keys = {each.key for each in first}
        lasting = [each for each in await self._compared(client, policy) if each.key in keys]
        self._claims.deny(lasting)
        return lasting

    async def _compared(self, client: Any, policy: StopPolicy) -> list[Difference]:
        noted = self._claims.noted()
        async with self._one_at_a_time:
            venue = await self._reports.of(client)
            await self._settle(client, noted, venue)
        found = differences(str(client.id), self._reports.believed(client), venue)
        return [each for each in found if each.what == "order" or policy is StopPolicy.FLATTEN]

    async def _without_faults(self, reconcile: Reconcile, deadline: float) -> bool:
        """NautilusTrader reconciles with whatever reports it got; it does so again until it got all of them."""
        self._foreign.begin()
        self._claims.begin()
        while True:
            self._reports.forget_faults()
            try:
                is_done = await in_time(reconcile(), deadline - self._now())
                self._reports.check_faults()
            except ReportsFailed as error:
                self.last_fault = str(error)
                if self._now() + AGAIN_S > deadline:
                    raise
                await asyncio.sleep(AGAIN_S)
            else:
                self.last_fault = ""
                return is_done

    async def _differs(self, deadline: float) -> bool:
        """One look at the start. Raises ReportsFailed after the deadline, unless a person is asked already."""
        if await self._look(is_whole=True):
            return bool(self._seen.suspected or self.told)
        if not self.told and self._now() + AGAIN_S > deadline:
            raise ReportsFailed(next(iter(self._silent.values()))[1])
        return True

    async def _look(self, *, is_whole: bool) -> bool:
        """False where a venue did not report. Of what moves meanwhile nothing is said that this may explain."""
        found: list[Difference] = []
        unexplained: list[Difference] = []
        unsure: set[str] = set()
        for client in self._reports.clients:
            name = str(client.id)
            try:
                seen, moving = await self._seen_at(client, is_whole=is_whole)
                suspected = (each for each in seen if each.key in self._seen.suspected)
                if behind := together(unheard(self._kernel.cache, suspected), self._filled[name]):
                    await self._catch_up(client, behind)
                    seen, moving = await self._seen_at(client, is_whole=is_whole)
            except ReportsFailed as error:
                self._kernel.logger.warning(f"not compared with the venue: {error}")
                self._silent.setdefault(name, (self._now(), str(error)))
                self.last_fault = str(error)
                unsure.add(name)
                continue
            self._silent.pop(name, None)
            moved = moving.instruments
            found += [each for each in seen if each.what == "change" or each.instrument not in moved]
            found += self._foreign.found(client)
            unexplained += [
                each
                for each in seen
                if each.instrument in moved and not moving.explains(each, self._accepted)
            ]
            unsure |= moved
        found += self._unexplained.after(without(unexplained, self._accepted))
        if is_whole and not unsure:
            self._keep([one for one in self._accepted if any(each.is_like(one) for each in found)])
        self._say(self._seen.after(without(found, self._accepted), unsure))
        return not self._silent

    async def _seen_at(self, client: Any, *, is_whole: bool) -> tuple[tuple[Difference, ...], Moving]:
        noted = self._claims.noted()
        ours = None if is_whole else self._interests(client)
        before, sent = self._reports.believed(client), self._reports.on_their_way(client)
        async with self._one_at_a_time:
            venue = await self._reports.of(client, ours)
        engine = self._reports.believed(client)
        moving = Moving(before, engine, {**sent, **self._reports.on_their_way(client)})
        async with self._one_at_a_time:
            await self._settle(client, noted, venue)
        if ours is not None:
            engine = engine.of_orders(ours)
        for each in self._foreign.found(client):
            if not venue.positions.get(each.instrument) and not engine.positions.get(each.instrument):
                self._foreign.forget_flat(each.client, each.instrument)
        return differences(str(client.id), engine, venue), moving

    async def _catch_up(self, client: Any, behind: Behind) -> bool:
        """Takes the fills that were not heard; false where the venue does not tell them: what differs is told all the same."""
        async with self._one_at_a_time:
            try:
                take(self._kernel, await self._reports.fills(client, behind))
                for instrument in behind:
                    self._filled[str(client.id)].pop(instrument, None)
            except ReportsFailed as error:
                self._kernel.logger.warning(f"fills that may be missing: {error}")
                return False
        return True

    async def _settle(self, client: Any, noted: Collection[tuple[str, str]], venue: Side) -> None:
        filled = await self._claims.settle(
            str(client.id), noted, venue, lambda order: self._reports.of_order(client, order)
        )
        self._filled[str(client.id)] = together(self._filled[str(client.id)], filled)

    def _interests(self, client: Any) -> set[str]:
        """The instruments that the engine has to do with, by its cache, and those that differ, or may."""
        believed = self._reports.believed(client)
        doubtful = {*self._seen.suspected, *(each.key for each in self.told)}
        differ = {instrument for name, _, instrument, _ in doubtful if name == str(client.id)}
        ordered = {instrument for instrument, _ in believed.orders}
        return {*believed.positions, *ordered, *differ, *self._claims.instruments(str(client.id))}

    def _say(self, seen: Seen) -> None:
        before, self._seen = self.told, seen
        self._claims.deny(seen.told)
        if seen.told != before:
            self._tell(seen.told)

    def _keep(self, accepted: Any) -> None:
        unique = tuple(sorted(set(accepted)))
        if unique != self._accepted:
            self._accepted = unique
            self._kernel.cache.add(_ACCEPTED, msgspec.json.encode(unique))

    def _restore(self) -> None:
        if kept := self._kernel.cache.get(_ACCEPTED):
            self._accepted = _DECODER.decode(kept)
