"""The whole exchange behind its sockets: requests in, answers and messages out."""

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from exchanges.binance.core import auth, settling
from exchanges.binance.core.errors import VenueError
from exchanges.binance.core.feed import Feed
from exchanges.binance.core.limits import Limits
from exchanges.binance.core.params import Params
from exchanges.binance.core.routes import PRIVATE, PUBLIC, Right
from exchanges.binance.core.state import Account, State, Symbol
from exchanges.binance.core.venue import Venue


class Answer(msgspec.Struct, frozen=True):
    """What a request is answered: HTTP status, JSON body, headers beyond the usual."""

    status: int
    body: object
    headers: dict[str, str] = {}

    @property
    def code(self) -> int:
        """The venue's code of a refusal, 0 if it was none."""
        code = self.body.get("code", 0) if isinstance(self.body, Mapping) and self.status >= 400 else 0
        return code if isinstance(code, int) else 0


class Asking(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it came: `query` is the parameters as they were sent and signed, `params` what they say, `key` the header X-MBX-APIKEY."""

    method: str
    path: str
    query: str
    params: Params
    key: str


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """A request on record, without its signature: what it was answered, and the fault it met (empty if none). `status` 0 is no answer."""

    at_ms: int
    method: str
    path: str
    params: dict[str, str]
    status: int
    code: int
    fault: str = ""


class Exchange:
    """The exchange. Every call says what time it is by the clock of the machine, in Unix milliseconds; the venue's own may be wrong by `clock_skew_ms`."""

    def __init__(self, state: State, now_ms: int) -> None:
        self.venue = Venue(state, now_ms)
        self.feed = Feed(self.venue)
        self.limits = Limits()
        self.requests: list[Recorded] = []
        self.clock_skew_ms = 0
        self.maintenance = False

    def answer(self, asking: Asking, now_ms: int) -> Answer:
        """Does what is asked, and what follows from it."""
        self.venue.at(now_ms + self.clock_skew_ms)
        params = asking.params
        try:
            body = self._route(asking, params, now_ms)
        except VenueError as error:
            return Answer(error.status, error.body(), {**self.limits.headers(now_ms), **error.headers})
        settling.settle(self.venue)
        return Answer(200, body, self.limits.headers(now_ms))

    def _route(self, asking: Asking, params: Params, now_ms: int) -> object:
        if self.maintenance:
            raise VenueError(-1016)
        self.limits.charge(now_ms, asking.method, asking.path, has_symbol="symbol" in params)
        if asking.method == "GET" and asking.path in PUBLIC:
            return PUBLIC[asking.path](self.venue, self.feed, params)
        if (asking.method, asking.path) not in PRIVATE:
            raise VenueError(-1000, status=404)
        right, act = PRIVATE[asking.method, asking.path]
        account = auth.by_key(self.venue.state.accounts.values(), asking.key)
        if right is not Right.KEY:
            auth.check_signature(account, asking.query)
            auth.check_clock(params, now_ms + self.clock_skew_ms)
        if right is Right.TRADE and not account.can_trade:
            raise VenueError(-2015)
        return act(self.venue, account, params)

    def record(self, asking: Asking, answer: Answer | None, now_ms: int, fault: str = "") -> None:
        """Puts a request on record with what was answered: None if nothing was."""
        shown = {
            name: value
            for name, value in asking.params.items()
            if name not in ("signature", "timestamp", "recvWindow")
        }
        status, code = (answer.status, answer.code) if answer else (0, 0)
        self.requests.append(
            Recorded(
                at_ms=now_ms,
                method=asking.method,
                path=asking.path,
                params=shown,
                status=status,
                code=code,
                fault=fault,
            )
        )

    def tick(self, now_ms: int) -> None:
        """Lets the market move, and time pass."""
        self.venue.at(now_ms + self.clock_skew_ms)
        settling.move(self.venue)


def new_state(seed: int, now_ms: int, accounts: list[tuple[str, str, str]], deposit: Decimal) -> State:
    """An exchange with two symbols, and accounts (name, key, secret) with a deposit each in USDT."""
    symbols = [
        Symbol(
            name="BTCUSDT",
            level=Decimal(50_000),
            tick=Decimal("0.1"),
            step=Decimal("0.001"),
            size=Decimal(5),
            price_precision=2,
            quantity_precision=3,
        ),
        Symbol(
            name="ETHUSDT",
            level=Decimal(3_000),
            tick=Decimal("0.01"),
            step=Decimal("0.001"),
            size=Decimal(50),
            price_precision=2,
            quantity_precision=3,
            max_qty=Decimal(10_000),
        ),
    ]
    state = State(
        seed=seed,
        next_id=now_ms,  # ids grow more slowly, so a new exchange's are above those of one before
        symbols={symbol.name: symbol for symbol in symbols},
        accounts={name: Account(name=name, key=key, secret=secret) for name, key, secret in accounts},
        funded_ms=now_ms // settling.FUNDING_MS * settling.FUNDING_MS,
    )
    venue = Venue(state, now_ms)
    for account in state.accounts.values():
        settling.book_income(venue, account, "TRANSFER", deposit)
    return state
