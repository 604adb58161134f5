"""What an account may set: leverage, margin type, position mode, and the key of its private stream."""

from exchanges.binance.core import events
from exchanges.binance.core.errors import VenueError
from exchanges.binance.core.events import plain
from exchanges.binance.core.money import most_notional
from exchanges.binance.core.orders_read import Body
from exchanges.binance.core.params import Params, flag, text, whole
from exchanges.binance.core.settling import LISTEN_KEY_MS
from exchanges.binance.core.state import Account
from exchanges.binance.core.venue import Venue


def set_leverage(venue: Venue, account: Account, params: Params) -> Body:
    """Sets the leverage of a symbol.

    Raises:
        VenueError: -4028 if the symbol has no such leverage, -2027 if the position would be too large for it.
    """
    symbol, leverage = venue.symbol(params), whole(params, "leverage", 0)
    if not 1 <= leverage <= symbol.max_leverage:
        raise VenueError(-4028, leverage)
    notional = sum(abs(p.amount) * venue.mark(symbol.name) for p in account.held(symbol.name))
    if notional > most_notional(leverage):
        raise VenueError(-2027)
    account.leverage[symbol.name] = leverage
    venue.tell(account.name, events.leverage_update(symbol.name, leverage, venue.now_ms))
    return {"symbol": symbol.name, "leverage": leverage, "maxNotionalValue": plain(most_notional(leverage))}


def set_margin_type(venue: Venue, account: Account, params: Params) -> Body:
    """Sets the margin type of a symbol. Isolated margin is only on record: all positions share the wallet.

    Raises:
        VenueError: if it is that already, or there are orders or a position.
    """
    symbol, kind = venue.symbol(params), text(params, "marginType")
    if kind not in ("ISOLATED", "CROSSED"):
        raise VenueError(-1130, "marginType")
    if account.margin_type.get(symbol.name, "CROSSED") == kind:
        raise VenueError(-4046)
    if venue.open_orders(account, symbol.name):
        raise VenueError(-4047)
    if account.held(symbol.name):
        raise VenueError(-4048)
    account.margin_type[symbol.name] = kind
    return {"code": 200, "msg": "success"}


def set_position_mode(venue: Venue, account: Account, params: Params) -> Body:
    """Changes between one-way and hedge mode.

    Raises:
        VenueError: if it is that already, or there are orders or positions.
    """
    text(params, "dualSidePosition")
    hedge = flag(params, "dualSidePosition")
    if hedge == account.hedge:
        raise VenueError(-4059)
    if venue.open_orders(account) or venue.open_algos(account):
        raise VenueError(-4067)
    if any(position.amount for position in account.positions.values()):
        raise VenueError(-4068)
    account.hedge, account.positions = hedge, {}
    return {"code": 200, "msg": "success"}


def open_listen_key(venue: Venue, account: Account) -> Body:
    """The key of the private stream: the one there is, for another hour, or a new one."""
    account.listen_key = account.listen_key or f"{account.name}{venue.next_id():x}"
    account.listen_until_ms = venue.now_ms + LISTEN_KEY_MS
    return {"listenKey": account.listen_key}


def keep_listen_key(venue: Venue, account: Account) -> Body:
    """Keeps the key for another hour.

    Raises:
        VenueError: -1125 if there is none any more.
    """
    if not account.listen_key:
        raise VenueError(-1125)
    return open_listen_key(venue, account)


def close_listen_key(account: Account) -> Body:
    """Ends the key, and with it the stream.

    Raises:
        VenueError: -1125 if there is none any more.
    """
    if not account.listen_key:
        raise VenueError(-1125)
    account.listen_key = ""
    return {}
