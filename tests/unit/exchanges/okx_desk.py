"""The OKX exchange's core at one's desk: time stands still, markets stay where they are put."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from exchanges.okx.core.auth import Signed, sign
from exchanges.okx.core.exchange import Answer, Asking, Exchange, new_state
from exchanges.okx.core.matching import cross
from exchanges.okx.core.pushes import Push, push_of
from exchanges.okx.core.settling import settle
from exchanges.okx.core.state import Account

D = Decimal
SWAP = "BTC-USDT-SWAP"

# 2024-01-01 00:30 UTC: no funding is due within the next hours.
NOW_MS = 1_704_069_000_000
HOUR_MS = 3_600_000


class OkxDesk:
    """An exchange with an account `main` of 100,000 USDT (and `other`), BTC-USDT-SWAP at 50,000.0 / 50,000.1 with 500 contracts of 0.01 at each level."""

    def __init__(self) -> None:
        accounts = [("main", "key", "secret", "phrase"), ("other", "other-key", "other-secret", "other")]
        self.now_ms = NOW_MS
        self.exchange = Exchange(new_state(1, NOW_MS, accounts, Decimal(100_000)), NOW_MS)
        self.venue = self.exchange.venue
        self.touch("50000.0", "50000.1")
        self.venue.drain()

    @property
    def account(self) -> Account:
        return self.venue.state.accounts["main"]

    def touch(self, bid: str, ask: str, size: str = "500", instrument: str = SWAP) -> None:
        """Moves a market, and what follows."""
        self.venue.pin(instrument, Decimal(bid), Decimal(ask), Decimal(size))
        self.venue.last[instrument] = Decimal(bid)
        cross(self.venue, instrument)
        settle(self.venue)

    def answer(self, method: str, path: str, params: Any = None, who: str = "main", **wrong: str) -> Answer:
        """The answer to a signed request; `wrong` replaces a part of what proves who asks."""
        account, params = self.venue.state.accounts[who], params or {}
        body = json.dumps(params) if method == "POST" else ""
        path = f"/api/v5{path}"
        target = f"{path}?{urlencode(params)}" if method == "GET" and params else path
        at = datetime.fromtimestamp(self.now_ms / 1000, UTC)
        moment = wrong.get("moment", at.isoformat(timespec="milliseconds").replace("+00:00", "Z"))
        text = f"{method}{target}{body}"
        signed = Signed(
            key=wrong.get("key", account.key),
            passphrase=wrong.get("passphrase", account.passphrase),
            moment=moment,
            sign=wrong.get("sign", sign(account.secret, moment + text)),
            text=text,
        )
        rows = params if isinstance(params, list) else [params]
        asking = Asking(method=method, path=path, params=rows, signed=signed)
        return self.exchange.answer(asking, self.now_ms)

    def get(self, path: str, who: str = "main", **params: object) -> Any:
        """The data of what is asked, that is not refused."""
        answer = self.answer("GET", path, params, who)
        assert (answer.status, answer.code) == (200, 0), answer.body
        return answer.body["data"]

    def post(self, path: str, who: str = "main", **params: object) -> Any:
        """The first row of what is done."""
        rows = self.answer("POST", path, params, who).body["data"]
        assert isinstance(rows, list)
        return rows[0]

    def place(self, side: str = "buy", sz: str = "1", who: str = "main", **order: object) -> Any:
        """The row that an order is answered with: a market order, or with `px` a limit order."""
        common = {"instId": SWAP, "tdMode": "cross", "side": side, "sz": sz}
        kind = "limit" if "px" in order else "market"
        return self.post("/trade/order", who, **{**common, "ordType": kind, **order})

    def algo(self, side: str, sz: str = "1", **order: object) -> Any:
        """The row that a conditional order is answered with."""
        common = {"instId": SWAP, "tdMode": "cross", "side": side, "sz": sz, "ordType": "trigger"}
        return self.post("/trade/order-algo", **{**common, **order})

    def order(self, row: Any) -> Any:
        """An order as it is now."""
        return self.get("/trade/order", instId=SWAP, ordId=row["ordId"])[0]

    def position(self) -> Decimal:
        position = self.account.positions.get(SWAP)
        return position.amount if position else Decimal(0)

    def pushes(self, channel: str = "orders", who: str = "main") -> list[Push]:
        """What a channel of an account has said since the last call; what others said is forgotten."""
        said = [push_of(self.venue, news) for news in self.venue.drain()]
        return [push for push in said if (push.channel, push.account) == (channel, who)]

    def states(self) -> list[str]:
        """The states of `main`'s orders as they were said since the last call."""
        return [str(push.body["state"]) for push in self.pushes()]
