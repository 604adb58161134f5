"""How many requests and orders are taken: 429 with Retry-After beyond that, 418 for who goes on all the same."""

from exchanges.binance.core.errors import VenueError

MINUTE_MS, TEN_SECONDS_MS = 60_000, 10_000
BAN_S = 120
WEIGHT_MINUTE, ORDERS_MINUTE, ORDERS_TEN_SECONDS = 2400, 1200, 300
PATIENCE = 10  # refusals within a minute until the ban
_WEIGHTS = {
    "account": 5,
    "balance": 5,
    "positionRisk": 5,
    "allOrders": 5,
    "userTrades": 5,
    "klines": 5,
    "depth": 10,
    "aggTrades": 20,
    "income": 30,
}
_ORDERS = ("order", "batchOrders", "algoOrder")


class Limits:
    """The counts of whoever asks, by the minute and the ten seconds."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forgets counts and bans; the limits are the venue's again."""
        self.weight = WEIGHT_MINUTE
        self.orders_minute = ORDERS_MINUTE
        self.orders_ten_seconds = ORDERS_TEN_SECONDS
        self._counts: dict[tuple[str, int, int], int] = {}
        self._banned_until_ms = 0

    def ban(self, now_ms: int, seconds: int = BAN_S) -> None:
        """Takes nothing for `seconds`."""
        self._banned_until_ms = now_ms + seconds * 1000

    def charge(self, now_ms: int, method: str, path: str, *, has_symbol: bool) -> None:
        """Counts a request.

        Raises:
            VenueError: with status 429 or 418 and `Retry-After` in seconds, if it is not taken.
        """
        if now_ms < self._banned_until_ms:
            raise _refusal(418, -(-(self._banned_until_ms - now_ms) // 1000))
        name = path.rsplit("/", 1)[-1]
        if self._count("weight", now_ms, MINUTE_MS, _weight(name, has_symbol=has_symbol)) > self.weight:
            self._refuse(now_ms)
        if method == "POST" and name in _ORDERS:
            if self._count("orders", now_ms, TEN_SECONDS_MS, 1) > self.orders_ten_seconds:
                raise VenueError(
                    -1015, f"{self.orders_ten_seconds} orders per TEN_SECONDS", headers={"Retry-After": "10"}
                )
            if self._count("orders", now_ms, MINUTE_MS, 1) > self.orders_minute:
                raise VenueError(
                    -1015, f"{self.orders_minute} orders per MINUTE", headers={"Retry-After": "60"}
                )

    def headers(self, now_ms: int) -> dict[str, str]:
        """What each answer says of the counts."""
        return {
            "X-MBX-USED-WEIGHT-1M": str(self._counts.get(("weight", MINUTE_MS, now_ms // MINUTE_MS), 0)),
            "X-MBX-ORDER-COUNT-10S": str(
                self._counts.get(("orders", TEN_SECONDS_MS, now_ms // TEN_SECONDS_MS), 0)
            ),
            "X-MBX-ORDER-COUNT-1M": str(self._counts.get(("orders", MINUTE_MS, now_ms // MINUTE_MS), 0)),
        }

    def _refuse(self, now_ms: int) -> None:
        if self._count("refused", now_ms, MINUTE_MS, 1) > PATIENCE:
            self.ban(now_ms)
            raise _refusal(418, BAN_S)
        raise _refusal(
            429, -(-(MINUTE_MS - now_ms % MINUTE_MS) // 1000), f"{self.weight} request weight per 1 MINUTE"
        )

    def _count(self, what: str, now_ms: int, length_ms: int, by: int) -> int:
        key = (what, length_ms, now_ms // length_ms)
        self._counts = {other: n for other, n in self._counts.items() if other[:2] != key[:2] or other == key}
        self._counts[key] = self._counts.get(key, 0) + by
        return self._counts[key]


def _refusal(status: int, seconds: int, limit: str = "none while you are banned") -> VenueError:
    return VenueError(-1003, limit, status=status, headers={"Retry-After": str(seconds)})


def _weight(name: str, *, has_symbol: bool) -> int:
    if name in ("openOrders", "openAlgoOrders") and not has_symbol:
        return 40
    return _WEIGHTS.get(name, 1)
