"""The contracts of the gateway, and how a request finds one."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import msgspec

from exchanges.interactive_brokers.core.state import Contract

MONTHS = {3: "H", 6: "M", 9: "U", 12: "Z"}
LEAST_DAYS = 14  # before a future's last day


class Wanted(msgspec.Struct, frozen=True):
    """The contract that a request describes: what is empty may be anything."""

    con_id: int
    symbol: str
    kind: str
    expiry: str
    exchange: str
    primary: str
    currency: str
    local_symbol: str
    trading_class: str


def wanted(fields: Sequence[str], at: int) -> Wanted:
    """The contract whose twelve fields begin at a place of a request.

    Raises:
        ValueError: if a field is no such.
    """
    con_id, symbol, kind, expiry, _, _, _, exchange, primary, currency, local, trading_class = fields[
        at : at + 12
    ]
    return Wanted(int(con_id or 0), symbol, kind, expiry, exchange, primary, currency, local, trading_class)


def find(contracts: Iterable[Contract], wanted: Wanted) -> list[Contract]:
    """The contracts that fit a description, all of them."""
    return [contract for contract in contracts if _fits(contract, wanted)]


def _fits(contract: Contract, wanted: Wanted) -> bool:
    if wanted.con_id and wanted.con_id != contract.con_id:
        return False
    pairs = (
        (wanted.symbol, contract.symbol),
        (wanted.kind, contract.kind),
        (wanted.primary, contract.exchange),
        (wanted.currency, contract.currency),
        (wanted.local_symbol, contract.local_symbol),
        (wanted.trading_class, contract.trading_class),
    )
    if wanted.exchange and wanted.exchange not in contract.exchanges:
        return False
    return contract.expiry.startswith(wanted.expiry) and all(asked in ("", is_) for asked, is_ in pairs)


def listed(now_ms: int) -> list[Contract]:
    """What is traded: two stocks, a currency pair, and the quarterly future that is nearest, with two weeks at least to its last day."""
    last_day = _last_day(datetime.fromtimestamp(now_ms / 1000, UTC).date())
    return [
        _stock(265598, "AAPL", "APPLE INC", "US0378331005", Decimal(190)),
        _stock(272093, "MSFT", "MICROSOFT CORP", "US5949181045", Decimal(410)),
        Contract(
            con_id=495_000_000 + last_day.year * 100 + last_day.month,
            symbol="ES",
            kind="FUT",
            exchange="CME",
            currency="USD",
            local_symbol=f"ES{MONTHS[last_day.month]}{last_day.year % 10}",
            trading_class="ES",
            long_name="E-mini S&P 500",
            level=Decimal(5000),
            tick=Decimal("0.25"),
            step=Decimal(1),
            size=Decimal(20),
            multiplier=Decimal(50),
            expiry=f"{last_day:%Y%m%d}",
        ),
        Contract(
            con_id=12087792,
            symbol="EUR",
            kind="CASH",
            exchange="IDEALPRO",
            currency="USD",
            local_symbol="EUR.USD",
            trading_class="EUR.USD",
            long_name="European Monetary Union Euro",
            level=Decimal("1.1"),
            tick=Decimal("0.00005"),
            step=Decimal(1),
            size=Decimal(1_000_000),
        ),
    ]


def _stock(con_id: int, symbol: str, name: str, isin: str, level: Decimal) -> Contract:
    return Contract(
        con_id=con_id,
        symbol=symbol,
        kind="STK",
        exchange="NASDAQ",
        currency="USD",
        local_symbol=symbol,
        trading_class="NMS",
        long_name=name,
        level=level,
        tick=Decimal("0.01"),
        step=Decimal(1),
        size=Decimal(500),
        isin=isin,
    )


def _last_day(today: date) -> date:
    """The third Friday of the first month of a quarter's end that is far enough away."""
    first = date(today.year, today.month, 1)
    while True:
        third_friday = first + timedelta(days=(4 - first.weekday()) % 7 + 14)
        if first.month in MONTHS and third_friday - today >= timedelta(days=LEAST_DAYS):
            return third_friday
        first = (first + timedelta(days=32)).replace(day=1)
