"""The exchange's core at one's desk: time stands still, markets stay where they are put."""

from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from exchanges.binance.core.auth import sign
from exchanges.binance.core.exchange import Answer, Asking, Exchange, new_state
from exchanges.binance.core.matching import cross
from exchanges.binance.core.state import Account

D = Decimal

# 2024-01-01 00:30 UTC: no funding is due within the next hours.
NOW_MS = 1_704_069_000_000
HOUR_MS = 3_600_000


class Desk:
    """An exchange with an account `main` of 100,000 USDT (and `other`), BTCUSDT at 50,000.0 / 50,000.1 with 5 at each level."""

    def __init__(self) -> None:
        accounts = [("main", "key", "secret"), ("other", "other-key", "other-secret")]
        self.now_ms = NOW_MS
        self.exchange = Exchange(new_state(1, NOW_MS, accounts, Decimal(100_000)), NOW_MS)
        self.venue = self.exchange.venue
        self.touch("50000.0", "50000.1")
        self.venue.drain()

    @property
    def account(self) -> Account:
        return self.venue.state.accounts["main"]

    def touch(self, bid: str, ask: str, size: str = "5", symbol: str = "BTCUSDT") -> None:
        """Moves a market, and what follows."""
        self.venue.pin(symbol, Decimal(bid), Decimal(ask), Decimal(size))
        self.venue.last[symbol] = Decimal(bid)
        cross(self.venue, symbol)
        self.ask("GET", "/fapi/v1/ping")

    def answer(self, method: str, path: str, who: str = "main", **params: object) -> Answer:
        """The answer to a signed request."""
        account = self.venue.state.accounts[who]
        sent = {name: str(value) for name, value in params.items()} | {"timestamp": str(self.now_ms)}
        query = urlencode(sent)
        signed = f"{query}&signature={sign(account.secret, query)}"
        return self.exchange.answer(
            Asking(method=method, path=path, query=signed, params=sent, key=account.key), self.now_ms
        )

    def ask(self, method: str, path: str, who: str = "main", **params: object) -> Any:
        """The body of a request that is not refused."""
        answer = self.answer(method, path, who, **params)
        assert answer.status == 200, answer.body
        return answer.body

    def code(self, method: str, path: str, who: str = "main", **params: object) -> int:
        """The code of a refusal."""
        answer = self.answer(method, path, who, **params)
        assert answer.status != 200, answer.body
        return answer.code

    def market(self, side: str, qty: str, who: str = "main", **params: object) -> Any:
        return self.order(who, side=side, type="MARKET", quantity=qty, **params)

    def limit(
        self, side: str, qty: str, price: str, who: str = "main", tif: str = "GTC", **params: object
    ) -> Any:
        return self.order(who, side=side, type="LIMIT", quantity=qty, price=price, timeInForce=tif, **params)

    def order(self, who: str = "main", **params: object) -> Any:
        return self.ask("POST", "/fapi/v1/order", who, **{"symbol": "BTCUSDT", **params})

    def refused(self, **params: object) -> int:
        """The code with which an order is refused: of 1 BTC, to buy at market unless `params` say otherwise."""
        asked = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "1", **params}
        return self.code(
            "POST", "/fapi/v1/order", **{name: value for name, value in asked.items() if value is not None}
        )

    def algo(self, **params: object) -> Any:
        asked = {"symbol": "BTCUSDT", "algoType": "CONDITIONAL", **params}
        return self.ask("POST", "/fapi/v1/algoOrder", **asked)

    def shown(self, order: Any) -> Any:
        """The order as it is now."""
        return self.ask("GET", "/fapi/v1/order", symbol=order["symbol"], orderId=order["orderId"])

    def position(self, side: str = "BOTH") -> Decimal:
        return self.account.position("BTCUSDT", side).amount

    def events(self) -> list[Any]:
        """What the private stream of `main` has said since the last call."""
        return [message for name, message in self.venue.drain() if name == "main"]

    def executions(self) -> list[str]:
        """The executions and states of `main`'s orders since the last call."""
        orders = [event["o"] for event in self.events() if event["e"] == "ORDER_TRADE_UPDATE"]
        return [f"{order['x']} {order['X']}" for order in orders]
