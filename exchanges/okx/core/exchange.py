"""The whole exchange behind its sockets: requests in, answers and messages out."""

from collections import defaultdict, deque
from decimal import Decimal

import msgspec

from exchanges.okx.core import auth, settling
from exchanges.okx.core.auth import Signed
from exchanges.okx.core.errors import VenueError
from exchanges.okx.core.feed import Feed
from exchanges.okx.core.routes import ACTS, OPERATIONS, PUBLIC, READS, SETS, V5, Act, do_each
from exchanges.okx.core.state import Account, Instrument, State
from exchanges.okx.core.trading import place
from exchanges.okx.core.venue import Params, Venue

WINDOW_MS = 2_000


class Answer(msgspec.Struct, frozen=True):
    """What a request is answered: HTTP status and JSON body."""

    status: int
    body: dict[str, object]

    @property
    def code(self) -> int:
        """The venue's code of a refusal, of the first order's if it is one of orders; 0 if it was none."""
        rows = self.body.get("data")
        first = rows[0] if isinstance(rows, list) and rows else {}
        code = first.get("sCode") if isinstance(first, dict) else None
        return int(str(code or self.body["code"]))


class Asking(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it came. On the private WebSocket the method is WS and the path the operation."""

    method: str
    path: str
    params: list[Params]
    signed: Signed = Signed()


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """A request on record: what it was answered, and the fault it met (empty if none). `status` 0 is no answer."""

    at_ms: int
    method: str
    path: str
    params: list[dict[str, object]]
    status: int
    code: int
    fault: str = ""


class Limits(msgspec.Struct, forbid_unknown_fields=True):
    """How many orders an account may place in two seconds."""

    orders_two_seconds: int = 60


class Exchange:
    """The exchange. Every call says what time it is by the clock of the machine, in Unix milliseconds; the venue's own may be wrong by `clock_skew_ms`."""

    def __init__(self, state: State, now_ms: int) -> None:
        self.venue = Venue(state, now_ms)
        self.feed = Feed(self.venue)
        self.limits = Limits()
        self.requests: list[Recorded] = []
        self.clock_skew_ms = 0
        self.maintenance = False
        self._placed: dict[str, deque[int]] = defaultdict(deque)

    def answer(self, asking: Asking, now_ms: int) -> Answer:
        """Does what a REST request asks, and what follows from it."""
        self.venue.at(now_ms + self.clock_skew_ms)
        try:
            code, data = self._route(asking)
        except VenueError as error:
            return Answer(error.status, error.body())
        settling.settle(self.venue)
        words = {"0": "", "1": "All operations failed", "2": "Bulk operation partially succeeded."}[code]
        return Answer(200, {"code": code, "msg": words, "data": data})

    def _route(self, asking: Asking) -> tuple[str, object]:
        if self.maintenance:
            raise VenueError(50001)
        method, path, params = asking.method, asking.path, asking.params
        first = params[0] if params else {}
        if method == "GET" and path in PUBLIC:
            return "0", PUBLIC[path](self.venue, self.feed, first)
        if path not in (*READS, *SETS, *ACTS):
            raise VenueError(50115, status=404)
        account = auth.of_request(self.venue.state.accounts.values(), asking.signed, self.venue.now_ms)
        if method == "GET" and path in READS:
            return "0", READS[path](self.venue, account, first)
        if method == "POST" and path in SETS:
            if not account.can_trade:
                raise VenueError(50120)
            return "0", SETS[path](self.venue, account, first)
        if method == "POST" and path in ACTS:
            return self._act(account, ACTS[path], params)
        raise VenueError(50115)

    def _act(self, account: Account, act: Act, params: list[Params]) -> tuple[str, object]:
        if act is place:
            self._charge(account, len(params))
        return do_each(self.venue, account, act, params)

    def _charge(self, account: Account, count: int) -> None:
        placed, now_ms = self._placed[account.name], self.venue.now_ms
        while placed and placed[0] <= now_ms - WINDOW_MS:
            placed.popleft()
        if len(placed) + count > self.limits.orders_two_seconds:
            raise VenueError(50011)
        placed.extend([now_ms] * count)

    def operate(self, account: Account, asking: Asking, now_ms: int) -> Answer:
        """Does what an operation on the private WebSocket asks, and what follows from it."""
        self.venue.at(now_ms + self.clock_skew_ms)
        try:
            code, data = self._act(account, OPERATIONS[asking.path], asking.params)
        except VenueError as error:
            return Answer(200, error.body())
        settling.settle(self.venue)
        return Answer(200, {"code": code, "msg": "", "data": data})

    def record(self, asking: Asking, answer: Answer | None, now_ms: int, fault: str = "") -> None:
        """Puts a request on record with what was answered: None if nothing was."""
        status, code = (answer.status, answer.code) if answer else (0, 0)
        self.requests.append(
            Recorded(
                at_ms=now_ms,
                method=asking.method,
                path=asking.path.removeprefix(V5),
                params=[dict(params) for params in asking.params],
                status=status,
                code=code,
                fault=fault,
            )
        )

    def tick(self, now_ms: int) -> None:
        """Lets the market move, and time pass."""
        self.venue.at(now_ms + self.clock_skew_ms)
        settling.move(self.venue)


def new_state(seed: int, now_ms: int, accounts: list[tuple[str, str, str, str]], deposit: Decimal) -> State:
    """An exchange with two swaps, and accounts (name, key, secret, passphrase) with a deposit each in USDT."""
    instruments = [
        Instrument(
            name="BTC-USDT-SWAP",
            code=10459,
            level=Decimal(50_000),
            tick=Decimal("0.1"),
            step=Decimal("0.01"),
            size=Decimal(500),
            contract=Decimal("0.01"),
        ),
        Instrument(
            name="ETH-USDT-SWAP",
            code=10461,
            level=Decimal(3_000),
            tick=Decimal("0.01"),
            step=Decimal("0.01"),
            size=Decimal(500),
            contract=Decimal("0.1"),
        ),
    ]
    state = State(
        seed=seed,
        next_id=now_ms,  # ids grow more slowly, so a new exchange's are above those of one before
        instruments={one.name: one for one in instruments},
        accounts={a[0]: Account(name=a[0], key=a[1], secret=a[2], passphrase=a[3]) for a in accounts},
        funded_ms=now_ms // settling.FUNDING_MS * settling.FUNDING_MS,
    )
    venue = Venue(state, now_ms)
    for account in state.accounts.values():
        settling.book_bill(venue, account, "TRANSFER", deposit)
    return state
