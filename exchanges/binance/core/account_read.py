"""What is asked about an account: balances, positions, settings."""

from decimal import Decimal

from exchanges.binance.core import money
from exchanges.binance.core.events import plain
from exchanges.binance.core.money import BRACKETS, most_notional
from exchanges.binance.core.orders_read import Body, limit, window
from exchanges.binance.core.params import Params
from exchanges.binance.core.state import ZERO, Account, Position
from exchanges.binance.core.venue import Venue


def _usdt(value: Decimal) -> str:
    return f"{value:.8f}"


def _sums(venue: Venue, account: Account) -> dict[str, str]:
    """The amounts that the account and each asset show, by the asset's names."""
    marks, orders = venue.marks(), venue.open_orders(account)
    profit = money.unrealized(account.positions.values(), marks)
    held, opening = money.position_margin(account, marks), money.order_margin(account, orders)
    free = max(ZERO, money.free_margin(account, orders, marks))
    return {
        "walletBalance": _usdt(account.wallet),
        "unrealizedProfit": _usdt(profit),
        "marginBalance": _usdt(account.wallet + profit),
        "maintMargin": _usdt(money.maintenance_margin(account, marks)),
        "initialMargin": _usdt(held + opening),
        "positionInitialMargin": _usdt(held),
        "openOrderInitialMargin": _usdt(opening),
        "crossWalletBalance": _usdt(account.wallet),
        "crossUnPnl": _usdt(profit),
        "availableBalance": _usdt(free),
        "maxWithdrawAmount": _usdt(free),
    }


def account(venue: Venue, account: Account, _: Params) -> Body:
    """The account with its assets and positions (v2 and v3)."""
    sums = _sums(venue, account)
    return {
        "feeTier": 0,
        "canTrade": account.can_trade,
        "canDeposit": True,
        "canWithdraw": True,
        "tradeGroupId": -1,
        "multiAssetsMargin": False,
        "updateTime": venue.now_ms,
        "totalInitialMargin": sums["initialMargin"],
        "totalMaintMargin": sums["maintMargin"],
        "totalWalletBalance": sums["walletBalance"],
        "totalUnrealizedProfit": sums["unrealizedProfit"],
        "totalMarginBalance": sums["marginBalance"],
        "totalPositionInitialMargin": sums["positionInitialMargin"],
        "totalOpenOrderInitialMargin": sums["openOrderInitialMargin"],
        "totalCrossWalletBalance": sums["crossWalletBalance"],
        "totalCrossUnPnl": sums["crossUnPnl"],
        "availableBalance": sums["availableBalance"],
        "maxWithdrawAmount": sums["maxWithdrawAmount"],
        "assets": [{"asset": "USDT", **sums, "marginAvailable": True, "updateTime": venue.now_ms}],
        "positions": [_position(venue, account, p) for p in account.positions.values() if p.amount],
    }


def balance(venue: Venue, account: Account, _: Params) -> list[Body]:
    """The balances of the account (v2 and v3)."""
    sums = _sums(venue, account)
    return [
        {
            "accountAlias": account.name,
            "asset": "USDT",
            "balance": sums["walletBalance"],
            "crossWalletBalance": sums["crossWalletBalance"],
            "crossUnPnl": sums["crossUnPnl"],
            "availableBalance": sums["availableBalance"],
            "maxWithdrawAmount": sums["maxWithdrawAmount"],
            "marginAvailable": True,
            "updateTime": venue.now_ms,
        }
    ]


def position_risk(venue: Venue, account: Account, params: Params) -> list[Body]:
    """Positions: those that are not flat or have open orders, or all of one symbol."""
    sides = ("LONG", "SHORT") if account.hedge else ("BOTH",)
    if "symbol" in params:
        name = venue.symbol(params).name
        return [_position(venue, account, account.position(name, side)) for side in sides]
    busy = {order.symbol for order in venue.open_orders(account)}
    found = [account.position(name, side) for name in venue.state.symbols for side in sides]
    return [_position(venue, account, p) for p in found if p.amount or p.symbol in busy]


def position_risk_all(venue: Venue, account: Account, params: Params) -> list[Body]:
    """Positions of every symbol, flat ones too, as the older version of the endpoint gives them."""
    if "symbol" in params:
        return position_risk(venue, account, params)
    return [row for name in venue.state.symbols for row in position_risk(venue, account, {"symbol": name})]


def _position(venue: Venue, account: Account, position: Position) -> Body:
    mark, leverage = venue.mark(position.symbol), money.leverage(account, position.symbol)
    notional = position.amount * mark
    return {
        "symbol": position.symbol,
        "positionSide": position.side,
        "positionAmt": venue.state.symbols[position.symbol].amount(position.amount),
        "entryPrice": plain(position.entry),
        "breakEvenPrice": plain(position.entry),
        "markPrice": plain(mark),
        "unRealizedProfit": _usdt(position.amount * (mark - position.entry)),
        "liquidationPrice": "0",
        "isolatedMargin": "0",
        "notional": _usdt(notional),
        "marginAsset": "USDT",
        "isolatedWallet": "0",
        "marginType": "isolated" if account.margin_type.get(position.symbol) == "ISOLATED" else "cross",
        "leverage": str(leverage),
        "maxNotionalValue": plain(most_notional(leverage)),
        "initialMargin": _usdt(abs(notional) / leverage),
        "maintMargin": _usdt(abs(notional) * money.MAINTENANCE),
        "positionInitialMargin": _usdt(abs(notional) / leverage),
        "openOrderInitialMargin": "0",
        "adl": 1,
        "bidNotional": "0",
        "askNotional": "0",
        "updateTime": position.updated_ms,
    }


def symbol_config(venue: Venue, account: Account, params: Params) -> list[Body]:
    """Leverage and margin type by symbol."""
    names = [venue.symbol(params).name] if "symbol" in params else list(venue.state.symbols)
    return [
        {
            "symbol": name,
            "marginType": account.margin_type.get(name, "CROSSED"),
            "isAutoAddMargin": False,
            "leverage": money.leverage(account, name),
            "maxNotionalValue": plain(most_notional(money.leverage(account, name))),
        }
        for name in names
    ]


def leverage_bracket(venue: Venue, _: Account, params: Params) -> list[Body]:
    """The limits of positions by leverage."""
    names = [venue.symbol(params).name] if "symbol" in params else list(venue.state.symbols)
    floors = [0, *(int(most) for _, most in BRACKETS)]
    brackets = [
        {
            "bracket": n,
            "initialLeverage": high,
            "notionalCap": int(most),
            "notionalFloor": floor,
            "maintMarginRatio": float(money.MAINTENANCE),
            "cum": 0,
        }
        for n, ((high, most), floor) in enumerate(zip(BRACKETS, floors, strict=False), 1)
    ]
    return [{"symbol": name, "brackets": brackets} for name in names]


def commission_rate(venue: Venue, _: Account, params: Params) -> Body:
    """The fees of a symbol."""
    name = venue.symbol(params).name
    return {
        "symbol": name,
        "makerCommissionRate": plain(money.MAKER),
        "takerCommissionRate": plain(money.TAKER),
    }


def income(venue: Venue, account: Account, params: Params) -> list[Body]:
    """Changes of the wallet that are no fills: transfers and funding."""
    start, end = window(params, venue.now_ms)
    kind, symbol = params.get("incomeType"), params.get("symbol")
    rows = [
        i
        for i in venue.state.incomes
        if i.account == account.name
        and start <= i.time_ms <= end
        and kind in (None, i.kind)
        and symbol in (None, i.symbol)
    ]
    return [
        {
            "symbol": i.symbol,
            "incomeType": i.kind,
            "income": _usdt(i.amount),
            "asset": "USDT",
            "info": i.kind,
            "time": i.time_ms,
            "tranId": i.id,
            "tradeId": "",
        }
        for i in rows[-limit(params, default=100) :]
    ]
