"""The layouts of public data vendors, known by their shape: what their files do not say of themselves.

Binance: github.com/binance/binance-public-data; Kraken: support.kraken.com/articles/360047124832; HistData: histdata.com/f-a-q;
TrueFX: truefx.com; Databento: databento.com/docs/schemas-and-data-formats; Tardis: docs.tardis.dev/downloadable-csv-files. Nothing is assumed where a vendor does not tell: it is asked for.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from flotilla.engine_sidecar.catalog.reading import DataType, Stamp

_BARS, _QUOTES, _TRADES = DataType.BARS, DataType.QUOTES, DataType.TRADES
_NUMBER: Final = r"-?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?"
_WHOLE: Final = r"\d+"
_MOMENT: Final = r"\d{13}|\d{16}"
_SECONDS: Final = r"\d{9,10}"
_YES_NO: Final = r"(?i:true|false)"
_OHLCV: Final = ("open_time", "open", "high", "low", "close", "volume")
_MAKER: Final = {"true": "SELLER", "false": "BUYER"}
"""When the buyer had stood in the book, it was the seller who took."""


class Vendor(msgspec.Struct, frozen=True, kw_only=True):
    """A vendor's layout: known by the `titles` of its header or, where it has none, by what is in the `cells` of its first row.

    `columns` names the latter's columns. `names` are the titles of fields that others call otherwise; the rest is as Layout
    has it. `is_newest_first`: the last row is the oldest.
    """

    name: str
    data_type: DataType
    titles: frozenset[str] = frozenset()
    columns: tuple[str, ...] = ()
    cells: tuple[str, ...] = ()
    names: dict[str, tuple[str, ...]] = {}
    stamp: Stamp | None = None
    time_format: str | None = None
    timezone: str | None = None
    fixed_decimals: int = 0
    is_newest_first: bool = False
    is_dated_at_midnight: bool = False
    sides: dict[str, str] = {}


_WITHOUT_HEADER: Final = (
    Vendor(
        name="Binance klines",
        data_type=_BARS,
        columns=(
            *_OHLCV,
            "close_time",
            "quote_volume",
            "count",
            "taker_buy_volume",
            "taker_buy_quote_volume",
            "ignore",
        ),
        cells=(_MOMENT, *[_NUMBER] * 5, _MOMENT, _NUMBER, _WHOLE, *[_NUMBER] * 3),
    ),
    Vendor(
        name="Binance trades",
        data_type=_TRADES,
        columns=("id", "price", "qty", "quote_qty", "time", "is_buyer_maker", "is_best_match"),
        cells=(_WHOLE, *[_NUMBER] * 3, _MOMENT, _YES_NO, _YES_NO),
        sides=_MAKER,
    ),
    Vendor(
        name="Binance trades",
        data_type=_TRADES,
        columns=("id", "price", "qty", "quote_qty", "time", "is_buyer_maker"),
        cells=(_WHOLE, *[_NUMBER] * 3, _MOMENT, _YES_NO),
        sides=_MAKER,
    ),
    Vendor(
        name="Binance aggregate trades",
        data_type=_TRADES,
        columns=(
            "id",
            "price",
            "quantity",
            "first_trade_id",
            "last_trade_id",
            "time",
            "is_buyer_maker",
            "is_best_match",
        ),
        cells=(_WHOLE, _NUMBER, _NUMBER, _WHOLE, _WHOLE, _MOMENT, _YES_NO, _YES_NO),
        sides=_MAKER,
    ),
    Vendor(
        name="Kraken OHLCVT",
        data_type=_BARS,
        columns=(*_OHLCV, "count"),
        cells=(_SECONDS, *[_NUMBER] * 5, _WHOLE),
    ),
    Vendor(
        name="Kraken trades",
        data_type=_TRADES,
        columns=("time", "price", "volume"),
        cells=(_SECONDS, _NUMBER, _NUMBER),
    ),
    Vendor(
        name="HistData bars",
        data_type=_BARS,
        columns=_OHLCV,
        cells=(r"\d{8} \d{6}", *[_NUMBER] * 5),
        time_format="%Y%m%d %H%M%S",
        timezone="Etc/GMT+5",  # five hours behind, summer too
    ),
    Vendor(
        name="HistData ticks",
        data_type=_QUOTES,
        columns=("time", "bid", "ask", "volume"),
        cells=(r"\d{8} \d{9}", *[_NUMBER] * 3),
        time_format="%Y%m%d %H%M%S%f",
        timezone="Etc/GMT+5",
    ),
    Vendor(
        name="MetaTrader bars",
        data_type=_BARS,
        columns=("date", "time_of_day", *_OHLCV[1:]),
        cells=(r"\d{4}\.\d\d\.\d\d", r"\d\d:\d\d", *[_NUMBER] * 5),
        stamp=Stamp.OPEN,
        time_format="%Y.%m.%d %H:%M",  # of the broker's own zone, which is asked for
    ),
    Vendor(
        name="TrueFX ticks",
        data_type=_QUOTES,
        columns=("symbol", "time", "bid", "ask"),
        cells=(r"[A-Z]{3}/[A-Z]{3}", r"\d{8} \d\d:\d\d:\d\d\.\d{3}", _NUMBER, _NUMBER),
        time_format="%Y%m%d %H:%M:%S.%f",
        timezone="UTC",
    ),
)
_DUKASCOPY_TIME: Final = "%d.%m.%Y %H:%M:%S.%f"
_DUKASCOPY_QUOTE: Final = {"bid_size": ("bidvolume", "bid_volume"), "ask_size": ("askvolume", "ask_volume")}
_DATABENTO: Final = frozenset({"ts_event", "rtype", "publisher_id"})
_DATABENTO_TIME: Final = {"timestamp": ("ts_recv", "ts_event")}
_TARDIS: Final = frozenset({"exchange", "symbol", "timestamp", "local_timestamp"})
_TARDIS_TIME: Final[dict[str, tuple[str, ...]]] = {"timestamp": ("local_timestamp",)}
"""In whose order the files are; the exchange's own times are not always."""
_NAUTILUS: Final = frozenset({"ts_event", "ts_init"})
_NAUTILUS_TIME: Final[dict[str, tuple[str, ...]]] = {"timestamp": ("ts_init",)}
_WITH_HEADER: Final = (
    Vendor(
        name="Binance klines",
        data_type=_BARS,
        titles=frozenset({"open_time", "close_time", "quote_volume", "count", "taker_buy_volume"}),
    ),
    Vendor(
        name="Binance aggregate trades",
        data_type=_TRADES,
        titles=frozenset({"agg_trade_id", "transact_time", "is_buyer_maker"}),
        names={"timestamp": ("transact_time",), "trade_id": ("agg_trade_id",), "side": ("is_buyer_maker",)},
        sides=_MAKER,
    ),
    Vendor(
        name="Binance trades",
        data_type=_TRADES,
        titles=frozenset({"id", "price", "qty", "time", "is_buyer_maker"}),
        names={"side": ("is_buyer_maker",)},
        sides=_MAKER,
    ),
    Vendor(
        name="Binance book ticker",
        data_type=_QUOTES,
        titles=frozenset({"update_id", "best_bid_price", "best_ask_price", "transaction_time"}),
        names={
            "timestamp": ("transaction_time",),
            "bid_price": ("best_bid_price",),
            "ask_price": ("best_ask_price",),
            "bid_size": ("best_bid_qty",),
            "ask_size": ("best_ask_qty",),
        },
    ),
    Vendor(
        name="CryptoDataDownload",
        data_type=_BARS,
        titles=frozenset({"unix", "date", "symbol", "open"}),
        names={"timestamp": ("unix",), "volume": ("volume_*",)},
        stamp=Stamp.OPEN,
        is_newest_first=True,
    ),
    Vendor(
        name="Dukascopy bars",
        data_type=_BARS,
        titles=frozenset({"gmt_time", "open"}),
        stamp=Stamp.OPEN,
        time_format=_DUKASCOPY_TIME,
        timezone="UTC",
    ),
    Vendor(
        name="Dukascopy bars",
        data_type=_BARS,
        titles=frozenset({"local_time", "open"}),
        names={"timestamp": ("local_time",)},
        stamp=Stamp.OPEN,
        time_format=f"{_DUKASCOPY_TIME} GMT%z",
    ),
    Vendor(
        name="Dukascopy ticks",
        data_type=_QUOTES,
        titles=frozenset({"gmt_time", "bid", "ask"}),
        names={"timestamp": ("gmt_time",), **_DUKASCOPY_QUOTE},
        time_format=_DUKASCOPY_TIME,
        timezone="UTC",
    ),
    Vendor(
        name="Dukascopy ticks",
        data_type=_QUOTES,
        titles=frozenset({"local_time", "bid", "ask"}),
        names={"timestamp": ("local_time",), **_DUKASCOPY_QUOTE},
        time_format=f"{_DUKASCOPY_TIME} GMT%z",
    ),
    Vendor(
        name="Stooq",
        data_type=_BARS,
        titles=frozenset({"<ticker>", "<per>", "<date>", "<time>", "<open>"}),
        names={
            "timestamp": ("<date>",),
            "time_of_day": ("<time>",),
            "symbol": ("<ticker>",),
            **{field: (f"<{field}>",) for field in ("open", "high", "low", "close")},
            "volume": ("<vol>",),
        },
        time_format="%Y%m%d %H%M%S",
        is_dated_at_midnight=True,
    ),
    Vendor(
        name="Yahoo",
        data_type=_BARS,
        titles=frozenset({"date", "open", "high", "low", "close", "adj_close", "volume"}),
    ),
    Vendor(
        name="Interactive Brokers",
        data_type=_BARS,
        titles=frozenset({"date", "open", "close", "average", "barcount"}),
        stamp=Stamp.OPEN,
    ),
    Vendor(
        name="Tardis trades",
        data_type=_TRADES,
        titles=_TARDIS | {"id", "side", "price", "amount"},
        names=_TARDIS_TIME,
    ),
    Vendor(
        name="Tardis quotes",
        data_type=_QUOTES,
        titles=_TARDIS | {"ask_amount", "ask_price", "bid_price", "bid_amount"},
        names={**_TARDIS_TIME, "bid_size": ("bid_amount",), "ask_size": ("ask_amount",)},
    ),
    Vendor(
        name="Tardis book snapshots",
        data_type=_QUOTES,
        titles=_TARDIS | {"asks[0].price", "asks[0].amount", "bids[0].price", "bids[0].amount"},
        names={
            **_TARDIS_TIME,
            "bid_price": ("bids[[]0].price",),
            "ask_price": ("asks[[]0].price",),
            "bid_size": ("bids[[]0].amount",),
            "ask_size": ("asks[[]0].amount",),
        },
    ),
    Vendor(
        name="NautilusTrader bars",
        data_type=_BARS,
        titles=_NAUTILUS | {"open", "volume"},
        names=_NAUTILUS_TIME,
        stamp=Stamp.CLOSE,
    ),
    Vendor(
        name="NautilusTrader quotes",
        data_type=_QUOTES,
        titles=_NAUTILUS | {"bid_price", "ask_price"},
        names=_NAUTILUS_TIME,
    ),
    Vendor(
        name="NautilusTrader trades",
        data_type=_TRADES,
        titles=_NAUTILUS | {"aggressor_side", "trade_id"},
        names=_NAUTILUS_TIME,
        sides={"0": "NO_AGGRESSOR", "1": "BUYER", "2": "SELLER"},
    ),
    Vendor(
        name="Databento OHLCV",
        data_type=_BARS,
        titles=_DATABENTO | {"open"},
        stamp=Stamp.OPEN,
        fixed_decimals=9,
    ),
    Vendor(
        name="Databento trades",
        data_type=_TRADES,
        titles=_DATABENTO | {"action", "side", "price", "size"},
        names={**_DATABENTO_TIME, "trade_id": ("trade_id",), "action": ("action",)},
        fixed_decimals=9,
        sides={"a": "SELLER", "b": "BUYER", "n": "NO_AGGRESSOR"},
    ),
    Vendor(
        name="Databento best bid and offer",
        data_type=_QUOTES,
        titles=_DATABENTO | {"bid_px_00", "ask_px_00", "bid_sz_00", "ask_sz_00"},
        names={
            **_DATABENTO_TIME,
            "bid_price": ("bid_px_00",),
            "ask_price": ("ask_px_00",),
            "bid_size": ("bid_sz_00",),
            "ask_size": ("ask_sz_00",),
        },
        fixed_decimals=9,
    ),
)
_PREAMBLE: Final = re.compile(r"\A\W*(?:https?://)?(?:www\.)?cryptodatadownload\.com\W*\Z", re.IGNORECASE)
_IB_FORMS: Final = (
    (re.compile(r"\d{8}\s+\d\d:\d\d:\d\d"), "%Y%m%d %H:%M:%S", None),
    (
        re.compile(r"\d{8}\s+\d\d:\d\d:\d\d (?P<zone>[A-Za-z]+(?:/[A-Za-z_]+)+)"),
        "%Y%m%d %H:%M:%S {zone}",
        "zone",
    ),
)


def of_header(data_type: DataType, titles: Iterable[str]) -> Vendor | None:
    """Whose header this is, its titles in small letters with `_` for spaces."""
    seen = set(titles)
    return next((one for one in _WITH_HEADER if one.data_type is data_type and one.titles <= seen), None)


def of_first_row(data_type: DataType, row: Sequence[str]) -> Vendor | None:
    """Whose file without header begins with this row."""
    return next(
        (one for one in _WITHOUT_HEADER if one.data_type is data_type and _fits(one.cells, row)), None
    )


def with_time_of(vendor: Vendor, text: str) -> Vendor:
    """The same where times of its files come in several forms and the first row's tells which."""
    if vendor.name != "Interactive Brokers":
        return vendor
    for form, time_format, group in _IB_FORMS:
        if match := form.fullmatch(text.strip()):
            zone = match[group] if group else None
            return msgspec.structs.replace(vendor, time_format=time_format.format(zone=zone), timezone=zone)
    return vendor


def is_preamble(line: str) -> bool:
    """True for a line before the header that CryptoDataDownload puts there."""
    return _PREAMBLE.match(line) is not None


def side_of(text: str, sides: Mapping[str, str]) -> str | None:
    """BUYER, SELLER or NO_AGGRESSOR; None for what is none of them."""
    return sides.get(text.lower())


def _fits(cells: Sequence[str], row: Sequence[str]) -> bool:
    return len(cells) == len(row) and all(
        re.fullmatch(form, cell.strip()) for form, cell in zip(cells, row, strict=True)
    )
