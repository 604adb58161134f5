"""The faults of each exchange: the verbs of its control that make them, and those that mend them."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

type Verb = tuple[str, dict[str, Any]]


class Fault(msgspec.Struct, frozen=True):
    """One of an exchange's list. `is_foreign`: it changes the account, and a person has to know (`mismatch`).
    `is_doubtful`: orders are open that the engine does not know of, or takes for ended, which only a person can settle.
    `is_end`: the engine cannot trade there any more afterwards.
    """

    name: str
    verbs: tuple[Verb, ...]
    is_foreign: bool = False
    is_doubtful: bool = False
    is_end: bool = False

    @property
    def is_for_a_person(self) -> bool:
        """False where the engine has to come through by itself."""
        return self.is_foreign or self.is_doubtful


class Menu(msgspec.Struct, frozen=True):
    """The faults of one exchange, and the verbs that end any of them. `others` begin the ids of orders that are not the engine's."""

    faults: tuple[Fault, ...]
    mending: tuple[Verb, ...]
    others: tuple[str, ...]


def _requests(on: str, *kinds: str, is_doubtful: bool = False, **more: Any) -> list[Fault]:
    return [
        Fault(f"{kind} {on}", (("fault", {"on": on, "kind": kind, **more}),), is_doubtful=is_doubtful)
        for kind in kinds
    ]


def _of_all(*cuts: str) -> list[Fault]:
    """What every exchange can do, and all can be mended of."""
    return [
        *_requests("*", "slow", seconds=1),
        *_requests("*", "refuse", times=20),
        *_requests("*", "unknown", is_doubtful=True, times=20),
        *(Fault(f"stream {name}", (("stream", {name: True}),)) for name in ("mute", "duplicate", "swap")),
        *(Fault(f"cut {which}", (("cut", {"which": which}),)) for which in (*cuts, "all")),
        *(Fault(f"half open {which}", (("half_open", {"which": which}),)) for which in cuts),
        Fault("stream cut while muted", (("stream", {"mute": True}), ("cut", {"which": "private"}))),
        Fault("down", (("down", {"seconds": 0}),)),
        Fault("maintenance", (("maintenance", {"seconds": 10}),)),
        Fault("clock ahead", (("skew", {"ms": 3_000}),)),
        Fault("clock behind", (("skew", {"ms": -20_000}),)),
        Fault("held fills", (("conduct", {"hold_fills": True}),)),
        Fault("fills in parts", (("conduct", {"parts": 5}),)),
        Fault("fill after cancel", (("conduct", {"fill_after_cancel": 5}),)),
        Fault("no permission", (("permission", {"can_trade": False}),)),
        Fault("deposit", (("transfer", {"amount": "1000"}),)),
        Fault("liquidation", (("liquidate", {}),), is_foreign=True),
    ]


_MENDING: Final[tuple[Verb, ...]] = (("up", {}), ("clear", {}), ("permission", {"can_trade": True}))


def _binance() -> Menu:
    order, symbol = "POST /fapi/v1/order", {"symbol": "BTCUSDT"}
    hand = {**symbol, "qty": "0.03", "price": "50000"}
    by_hand = {
        **symbol,
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "0.02",
        "price": "40000",
    }
    return Menu(
        faults=(
            *_requests(order, "refuse", "lost"),
            *_requests(order, "unknown", is_doubtful=True),
            *_requests(order, "reject", status=400, code=-2019, msg="Margin is insufficient."),
            *_requests(order, "hang", "late", "slow", "silent", seconds=2),
            *_requests("GET /fapi/v1/openOrders", "reject"),
            *_requests("GET /fapi/v3/positionRisk", "reject"),
            *_of_all("private", "market"),
            Fault("expired listen key", (("expire_listen_key", {}),)),
            Fault("ban", (("ban", {"seconds": 10}),)),
            Fault("limits", (("limits", {"weight": 100, "orders_minute": 20}),)),
            Fault("halt", (("status", {**symbol, "status": "TRADING_HALT"}),)),
            Fault("changed tick", (("tick", {**symbol, "tick": "0.5", "step": "0.001"}),)),
            Fault("order by hand", (("place", {"order": by_hand}),), is_doubtful=True),
            Fault("position by hand", (("hand_position", hand),), is_foreign=True),
            Fault("old position by hand", (("hand_position", {**hand, "age_days": 9}),), is_foreign=True),
            Fault("delisting", (("delist", symbol),), is_foreign=True, is_end=True),
        ),
        mending=(
            *_MENDING,
            ("status", {**symbol, "status": "TRADING"}),
            ("tick", {**symbol, "tick": "0.1", "step": "0.001"}),
        ),
        others=("web_", "autoclose-", "settlement_"),
    )


def _okx() -> Menu:
    order, instrument = "WS order", {"instrument": "BTC-USDT-SWAP"}
    hand = {**instrument, "qty": "6", "price": "50000"}
    by_hand = {
        "instId": "BTC-USDT-SWAP",
        "tdMode": "cross",
        "side": "buy",
        "ordType": "limit",
        "sz": "4",
        "px": "40000",
        "clOrdId": "web1",
    }
    return Menu(
        faults=(
            *_requests(order, "refuse", "lost"),
            *_requests(order, "unknown", is_doubtful=True),
            *_requests(order, "reject", code=51008, msg="Order failed. Insufficient USDT margin in account"),
            *_requests(order, "hang", "late", "slow", "silent", seconds=2),
            *_requests("GET /api/v5/trade/orders-pending", "reject"),
            *_requests("GET /api/v5/account/positions", "reject"),
            *_of_all("private", "public", "business"),
            Fault("limits", (("limits", {"orders_two_seconds": 2}),)),
            Fault("halt", (("status", {**instrument, "status": "suspend"}),)),
            Fault("changed tick", (("tick", {**instrument, "tick": "0.5", "step": "0.01"}),)),
            Fault("order by hand", (("place", {"order": by_hand}),), is_doubtful=True),
            Fault("position by hand", (("hand_position", hand),), is_foreign=True),
            Fault("old position by hand", (("hand_position", {**hand, "age_days": 9}),), is_foreign=True),
            Fault("delisting", (("delist", instrument),), is_foreign=True, is_end=True),
        ),
        mending=(
            *_MENDING,
            ("status", {**instrument, "status": "live"}),
            ("tick", {**instrument, "tick": "0.1", "step": "0.01"}),
        ),
        others=("web", "venue-"),
    )


MENUS: Final[Mapping[str, Menu]] = {"BINANCE": _binance(), "OKX": _okx()}
"""By the name of the place."""
