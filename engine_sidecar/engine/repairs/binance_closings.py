"""Binance futures: an order of the venue's own (a liquidation, a delisting's settlement) is on record with a trade id that was made up.

The adapter reports such an order as filled before it reports its fill. The execution engine makes a fill up to fit the report, with an id
of its own, and drops the venue's as one too many; a part of a settlement is dropped by the adapter itself. So such an order is
reported as open once, and its fills are taken as those of any order that the engine has. No public report of it was found.
"""

from decimal import Decimal
from typing import Any, Final

import msgspec

_OWN: Final = ("autoclose-", "adl_autoclose", "settlement_autoclose-")
"""How the client ids begin that Binance gives to orders of its own."""


def repair_binance_closings(client: Any) -> None:
    """Has the execution client take the venue's trades of the venue's own orders; others are left alone."""
    handlers = getattr(client, "_futures_user_ws_handlers", None)
    if handlers is None:
        return
    from nautilus_trader.adapters.binance.futures.enums import BinanceFuturesEventType as Kind  # noqa: PLC0415 - other engines do not need it

    usual, lite = handlers[Kind.ORDER_TRADE_UPDATE], handlers[Kind.TRADE_LITE]

    def with_its_trade(raw: bytes) -> None:
        order = client._decoder_futures_order_update.decode(raw).o
        instrument = client._get_cached_instrument_id(order.s)
        is_fill = order.c.startswith(_OWN) and Decimal(order.l)
        if is_fill and client._instrument_provider.find(instrument) is not None:
            _take(client, order, instrument)
        else:
            usual(raw)

    def unless_told_in_full(raw: bytes) -> None:
        if not client._decoder_futures_trade_lite.decode(raw).c.startswith(_OWN):
            lite(raw)

    handlers[Kind.ORDER_TRADE_UPDATE] = with_its_trade
    handlers[Kind.TRADE_LITE] = unless_told_in_full


def _take(client: Any, order: Any, instrument: Any) -> None:
    from nautilus_trader.adapters.binance.common.enums import BinanceExecutionType, BinanceOrderStatus  # noqa: PLC0415
    from nautilus_trader.model.identifiers import ClientOrderId  # noqa: PLC0415

    if client._cache.order(ClientOrderId(order.c)) is None:
        client._send_order_status_report(_as_it_was_placed(client, order, instrument))
    # Liquidations take, whatever the venue says of the maker; as a fill of a part it goes the way of all orders' fills.
    is_maker = order.m and order.x == BinanceExecutionType.TRADE
    fill = msgspec.structs.replace(
        order, x=BinanceExecutionType.TRADE, X=BinanceOrderStatus.PARTIALLY_FILLED, m=is_maker
    )
    fill.handle_order_trade_update(client)


def _as_it_was_placed(client: Any, order: Any, instrument: Any) -> Any:
    from nautilus_trader.core.datetime import millis_to_nanos  # noqa: PLC0415
    from nautilus_trader.model.enums import OrderStatus  # noqa: PLC0415
    from nautilus_trader.model.identifiers import ClientOrderId, VenueOrderId  # noqa: PLC0415
    from nautilus_trader.model.objects import Quantity  # noqa: PLC0415

    report = order.parse_to_order_status_report(
        account_id=client.account_id,
        instrument_id=instrument,
        client_order_id=ClientOrderId(order.c),
        venue_order_id=VenueOrderId(str(order.i)),
        ts_event=millis_to_nanos(order.T),
        ts_init=client._clock.timestamp_ns(),
        enum_parser=client._enum_parser,
    )
    report.order_status, report.filled_qty, report.avg_px = OrderStatus.ACCEPTED, Quantity.from_int(0), None
    return report
