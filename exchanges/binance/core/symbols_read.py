"""What is asked about the symbols: their filters, and the limits of requests."""

from exchanges.binance.core import rules
from exchanges.binance.core.events import plain
from exchanges.binance.core.limits import ORDERS_MINUTE, ORDERS_TEN_SECONDS, WEIGHT_MINUTE
from exchanges.binance.core.orders_read import Body
from exchanges.binance.core.state import Symbol
from exchanges.binance.core.trading import MAX_OPEN
from exchanges.binance.core.venue import Venue

FOREVER_MS = 4_133_404_800_000
LISTED_MS = 1_569_398_400_000
RATE_LIMITS = [
    {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": WEIGHT_MINUTE},
    {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": ORDERS_MINUTE},
    {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": ORDERS_TEN_SECONDS},
]


def exchange_info(venue: Venue) -> Body:
    """The symbols with their filters, and the limits of requests."""
    return {
        "timezone": "UTC",
        "serverTime": venue.now_ms,
        "futuresType": "U_MARGINED",
        "rateLimits": RATE_LIMITS,
        "exchangeFilters": [],
        "assets": [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-10000"}],
        "symbols": [_symbol(symbol) for symbol in venue.state.symbols.values()],
    }


def _symbol(symbol: Symbol) -> Body:
    return {
        "symbol": symbol.name,
        "pair": symbol.name,
        "contractType": "PERPETUAL",
        "deliveryDate": FOREVER_MS,
        "onboardDate": LISTED_MS,
        "status": symbol.status,
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": symbol.base,
        "quoteAsset": "USDT",
        "marginAsset": "USDT",
        "pricePrecision": symbol.price_precision,
        "quantityPrecision": symbol.quantity_precision,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "settlePlan": 0,
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10000,
        "filters": _filters(symbol),
        "orderTypes": [*rules.PLAIN, *rules.CONDITIONAL],
        "timeInForce": list(rules.TIFS),
    }


def _filters(symbol: Symbol) -> list[Body]:
    tick, step, most = plain(symbol.tick), plain(symbol.step), plain(symbol.max_qty)
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": tick,
            "maxPrice": plain(symbol.max_price),
            "tickSize": tick,
        },
        {"filterType": "LOT_SIZE", "minQty": step, "maxQty": most, "stepSize": step},
        {"filterType": "MARKET_LOT_SIZE", "minQty": step, "maxQty": most, "stepSize": step},
        {"filterType": "MAX_NUM_ORDERS", "limit": MAX_OPEN},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": MAX_OPEN},
        {"filterType": "MIN_NOTIONAL", "notional": plain(symbol.min_notional)},
        {
            "filterType": "PERCENT_PRICE",
            "multiplierUp": plain(rules.UP),
            "multiplierDown": plain(rules.DOWN),
            "multiplierDecimal": "4",
        },
    ]
