"""The messages of the private stream. NautilusTrader's adapter decodes them strictly: a key too few costs the event."""

from collections.abc import Iterable
from decimal import Decimal

from exchanges.binance.core.money import MAINTENANCE
from exchanges.binance.core.state import Account, Algo, Order, Position, Symbol, Trade

type Message = dict[str, object]


def plain(value: Decimal) -> str:
    """A number without an exponent."""
    return f"{value:f}"


def order_update(
    order: Order, symbol: Symbol, execution: str, now_ms: int, trade: Trade | None = None
) -> Message:
    """ORDER_TRADE_UPDATE. `execution` is x: NEW, TRADE, CANCELED, EXPIRED, AMENDMENT or CALCULATED."""
    last: Message = {"l": "0", "L": "0", "t": 0, "m": False, "rp": "0"}
    if trade is not None:
        last = {
            "l": symbol.amount(trade.qty),
            "L": symbol.text(trade.price),
            "t": trade.id,
            "m": trade.maker,
            "rp": plain(trade.realized),
            "N": "USDT",
            "n": f"{trade.fee:.8f}",
        }
    body: Message = {
        "s": order.symbol,
        "c": order.client_id,
        "S": order.side.value,
        "o": order.type,
        "f": order.tif,
        "q": symbol.amount(order.qty),
        "p": symbol.text(order.price) if order.price else "0",
        "ap": plain(order.average),
        "sp": symbol.text(order.stop_price) if order.stop_price else "0",
        "x": execution,
        "X": order.status,
        "i": order.id,
        "z": symbol.amount(order.filled),
        "T": now_ms,
        "b": "0",
        "a": "0",
        "R": order.reduce_only,
        "wt": order.working_type,
        "ot": order.orig_type,
        "ps": order.position_side,
        "cp": order.close_position,
        "pP": False,
        "si": 0,
        "ss": 0,
        "V": "NONE",
        "pm": "NONE",
        "gtd": order.good_till_ms,
        **last,
    }
    return {"e": "ORDER_TRADE_UPDATE", "E": now_ms, "T": now_ms, "o": body}


def account_update(
    account: Account,
    reason: str,
    positions: Iterable[Position],
    marks: dict[str, Decimal],
    now_ms: int,
    *,
    change: Decimal = Decimal(0),
) -> Message:
    """ACCOUNT_UPDATE. `change` is the part of the wallet's change that is neither profit nor fee."""
    wallet = f"{account.wallet:.8f}"
    held = [
        {
            "s": p.symbol,
            "pa": plain(p.amount),
            "ep": plain(p.entry),
            "bep": plain(p.entry),
            "cr": "0",
            "up": f"{p.amount * (marks[p.symbol] - p.entry):.8f}",
            "mt": "isolated" if account.margin_type.get(p.symbol) == "ISOLATED" else "cross",
            "iw": "0",
            "ps": p.side,
        }
        for p in positions
    ]
    balance = {"a": "USDT", "wb": wallet, "cw": wallet, "bc": f"{change:.8f}"}
    return {"e": "ACCOUNT_UPDATE", "E": now_ms, "T": now_ms, "a": {"m": reason, "B": [balance], "P": held}}


def algo_update(algo: Algo, symbol: Symbol, now_ms: int, order: Order | None = None) -> Message:
    """ALGO_UPDATE, with the order that a triggered one became."""
    body: Message = {
        "caid": algo.client_id,
        "aid": algo.id,
        "at": "CONDITIONAL",
        "o": algo.type,
        "s": algo.symbol,
        "S": algo.side.value,
        "ps": algo.position_side,
        "f": algo.tif,
        "q": symbol.amount(algo.qty),
        "X": algo.status,
        "tp": symbol.text(algo.trigger) if algo.trigger else "0",
        "p": symbol.text(algo.price) if algo.price else "0",
        "wt": algo.working_type,
        "pm": "NONE",
        "cp": algo.close_position,
        "pP": False,
        "R": algo.reduce_only,
        "tt": algo.triggered_ms,
        "gtd": algo.good_till_ms,
        "V": "NONE",
    }
    if algo.callback:
        body |= {"cr": plain(algo.callback), "AP": symbol.text(algo.activate) if algo.activate else "0"}
    if order is not None:
        body |= {
            "ai": str(order.id),
            "ap": plain(order.average),
            "aq": symbol.amount(order.filled),
            "act": order.type,
        }
    return {"e": "ALGO_UPDATE", "E": now_ms, "T": now_ms, "o": body}


def margin_call(
    account: Account, positions: Iterable[Position], marks: dict[str, Decimal], now_ms: int
) -> Message:
    """MARGIN_CALL: equity comes close to what the positions need."""
    held = [
        {
            "s": p.symbol,
            "ps": p.side,
            "pa": plain(p.amount),
            "mt": "CROSSED",
            "iw": "0",
            "mp": plain(marks[p.symbol]),
            "up": f"{p.amount * (marks[p.symbol] - p.entry):.8f}",
            "mm": f"{abs(p.amount) * marks[p.symbol] * MAINTENANCE:.8f}",
        }
        for p in positions
    ]
    return {"e": "MARGIN_CALL", "E": now_ms, "cw": f"{account.wallet:.8f}", "p": held}


def leverage_update(symbol: str, leverage: int, now_ms: int) -> Message:
    """ACCOUNT_CONFIG_UPDATE of a symbol's leverage."""
    return {"e": "ACCOUNT_CONFIG_UPDATE", "E": now_ms, "T": now_ms, "ac": {"s": symbol, "l": leverage}}


def listen_key_expired(listen_key: str, now_ms: int) -> Message:
    """listenKeyExpired: nothing more comes on this stream."""
    return {"e": "listenKeyExpired", "E": now_ms, "listenKey": listen_key}
