"""The classes of NautilusTrader's instruments, and their fields with units: what must be given of each, and what holds without the rest."""

from enum import StrEnum
from typing import Any, Final

import msgspec


class FieldKind(StrEnum):
    """What a field's value is written as: all but a flag, digits and a moment as text, so that no digit is lost."""

    TEXT = "text"
    CURRENCY = "currency"
    FLAG = "flag"
    DIGITS = "digits"
    PRICE = "price"
    QUANTITY = "quantity"
    MONEY = "money"
    SHARE = "share"
    MOMENT = "moment"
    ASSET_CLASS = "asset_class"
    OPTION_KIND = "option_kind"
    OTHER = "other"


class Field(msgspec.Struct, frozen=True):
    """A field of an instrument: how it is written, its unit and meaning, and the option that gives it, if one does."""

    kind: FieldKind
    unit: str
    help: str
    option: str | None = None


FIELDS: Final = {
    "raw_symbol": Field(FieldKind.TEXT, "", "The venue's own symbol.", "symbol"),
    "asset_class": Field(FieldKind.ASSET_CLASS, "", "What its value comes from.", "asset-class"),
    "currency": Field(FieldKind.CURRENCY, "", "What it is priced and settled in.", "currency"),
    "base_currency": Field(FieldKind.CURRENCY, "", "What is bought and sold.", "base"),
    "quote_currency": Field(FieldKind.CURRENCY, "", "What it is priced in.", "quote"),
    "settlement_currency": Field(FieldKind.CURRENCY, "", "What gains are paid in.", "settlement"),
    "is_inverse": Field(
        FieldKind.FLAG, "", "Quantities count the quote currency, gains the base currency.", "inverse"
    ),
    "underlying": Field(FieldKind.TEXT, "", "What it is derived from.", "underlying"),
    "option_kind": Field(FieldKind.OPTION_KIND, "", "CALL or PUT.", "option-kind"),
    "strike_price": Field(FieldKind.PRICE, "quote currency", "The option's strike.", "strike"),
    "strategy_type": Field(FieldKind.TEXT, "", "The venue's word for the kind of spread.", "strategy-type"),
    "price_increment": Field(FieldKind.PRICE, "quote currency", "The smallest step of a price.", "tick"),
    "price_precision": Field(FieldKind.DIGITS, "decimals", "Of prices; those of the tick."),
    "size_increment": Field(FieldKind.QUANTITY, "units", "The smallest step of a quantity.", "step"),
    "size_precision": Field(FieldKind.DIGITS, "decimals", "Of quantities; those of the step."),
    "multiplier": Field(
        FieldKind.QUANTITY, "quote currency per point and unit", "What one unit counts for.", "multiplier"
    ),
    "lot_size": Field(FieldKind.QUANTITY, "units", "The usual round quantity.", "lot"),
    "min_quantity": Field(FieldKind.QUANTITY, "units", "The least of one order.", "min-quantity"),
    "max_quantity": Field(FieldKind.QUANTITY, "units", "The most of one order.", "max-quantity"),
    "min_notional": Field(FieldKind.MONEY, "money", "The least value of one order.", "min-notional"),
    "max_notional": Field(FieldKind.MONEY, "money", "The most value of one order.", "max-notional"),
    "min_price": Field(FieldKind.PRICE, "quote currency", "The lowest price of an order.", "min-price"),
    "max_price": Field(FieldKind.PRICE, "quote currency", "The highest price of an order.", "max-price"),
    "margin_init": Field(
        FieldKind.SHARE, "of notional", "Margin of an order, as 0.05 for 5 %.", "margin-init"
    ),
    "margin_maint": Field(
        FieldKind.SHARE, "of notional", "Margin of a position, as 0.05 for 5 %.", "margin-maint"
    ),
    "maker_fee": Field(
        FieldKind.SHARE, "of notional", "Paid by who waits in the book; below 0 he is paid.", "maker-fee"
    ),
    "taker_fee": Field(
        FieldKind.SHARE, "of notional", "Paid by who takes, as 0.0005 for 0.05 %.", "taker-fee"
    ),
    "activation_ns": Field(
        FieldKind.MOMENT, "UNIX ns", "When trading begins, as a day or moment in UTC.", "activation"
    ),
    "expiration_ns": Field(
        FieldKind.MOMENT, "UNIX ns", "When trading ends, as a moment in UTC, or a day to its end.", "expiry"
    ),
    "exchange": Field(FieldKind.TEXT, "", "The exchange's code (ISO 10383).", "exchange"),
    "isin": Field(FieldKind.TEXT, "", "ISO 6166.", "isin"),
    "outcome": Field(FieldKind.TEXT, "", "What a binary option is on.", "outcome"),
    "description": Field(FieldKind.TEXT, "", "In words.", "description"),
    "info": Field(FieldKind.OTHER, "", "What else the venue says."),
    "tick_scheme_name": Field(FieldKind.TEXT, "", "A tick scheme of NautilusTrader."),
    "ts_event": Field(FieldKind.MOMENT, "UNIX ns", "When it was described."),
    "ts_init": Field(FieldKind.MOMENT, "UNIX ns", "When it was taken in."),
}
"""Every field by NautilusTrader's name for it, in the order in which they are shown. Those of betting markets are in JSON only."""


class InstrumentClass(StrEnum):
    """The classes of NautilusTrader 1.231."""

    CURRENCY_PAIR = "currency-pair"
    EQUITY = "equity"
    FUTURE = "future"
    OPTION = "option"
    PERPETUAL = "perpetual"
    CRYPTO_FUTURE = "crypto-future"
    CRYPTO_OPTION = "crypto-option"
    CFD = "cfd"
    INDEX = "index"
    COMMODITY = "commodity"
    PERPETUAL_CONTRACT = "perpetual-contract"
    TOKENIZED_ASSET = "tokenized-asset"
    FUTURE_SPREAD = "future-spread"
    OPTION_SPREAD = "option-spread"
    CRYPTO_FUTURE_SPREAD = "crypto-future-spread"
    CRYPTO_OPTION_SPREAD = "crypto-option-spread"
    BINARY_OPTION = "binary-option"
    BETTING = "betting"


class ClassRow(msgspec.Struct, frozen=True, kw_only=True):
    """A class: NautilusTrader's name, the fields that must be given, and those that may be, with what holds without them.

    What is derived is in neither: precisions are those of tick and step. `fixed` is what the class says of itself.
    """

    nautilus: str
    needs: tuple[str, ...]
    may: dict[str, Any]
    fixed: dict[str, Any] = {}

    @property
    def fields(self) -> tuple[str, ...]:
        """All of its fields, as they are shown."""
        own = {*self.needs, *self.may, *self.fixed, "price_precision"}
        own |= {"size_precision"} if "size_increment" in own else set()
        return tuple(name for name in FIELDS if name in own)


_MARGINS: Final = {"margin_init": "0", "margin_maint": "0"}
_FEES: Final = {"maker_fee": "0", "taker_fee": "0"}
_QUANTITIES: Final = {"min_quantity": None, "max_quantity": None}
_LIMITS: Final = {
    **_QUANTITIES,
    "min_notional": None,
    "max_notional": None,
    "min_price": None,
    "max_price": None,
}
_COMMON: Final = {"raw_symbol": None, "info": None, "ts_event": 0, "ts_init": 0}
_LISTED: Final = {"lot_size": "1", "activation_ns": 0, "exchange": None, **_MARGINS, **_FEES}
_WHOLE: Final = {"size_increment": "1", "size_precision": 0, "min_quantity": "1"}
_SPREAD: Final = (
    "asset_class",
    "currency",
    "price_increment",
    "multiplier",
    "underlying",
    "strategy_type",
    "expiration_ns",
)
_CRYPTO: Final = (
    "underlying",
    "quote_currency",
    "settlement_currency",
    "expiration_ns",
    "price_increment",
    "size_increment",
    *_FEES,
)
_CRYPTO_MAY: Final = {
    "is_inverse": False,
    "activation_ns": 0,
    "multiplier": "1",
    "lot_size": "1",
    **_LIMITS,
    **_MARGINS,
}

CLASSES: Final = {
    InstrumentClass.CURRENCY_PAIR: ClassRow(
        nautilus="CurrencyPair",
        needs=("base_currency", "quote_currency", "price_increment", "size_increment"),
        may={"multiplier": "1", "lot_size": None, **_LIMITS, **_MARGINS, **_FEES, **_COMMON},
    ),
    InstrumentClass.EQUITY: ClassRow(
        nautilus="Equity",
        needs=("currency", "price_increment"),
        may={"lot_size": "1", "isin": None, **_QUANTITIES, **_MARGINS, **_FEES, **_COMMON},
    ),
    InstrumentClass.FUTURE: ClassRow(
        nautilus="FuturesContract",
        needs=("asset_class", "currency", "price_increment", "multiplier", "underlying", "expiration_ns"),
        may={**_LISTED, **_COMMON},
        fixed=_WHOLE,
    ),
    InstrumentClass.OPTION: ClassRow(
        nautilus="OptionContract",
        needs=(
            "asset_class",
            "currency",
            "price_increment",
            "multiplier",
            "underlying",
            "option_kind",
            "strike_price",
            "expiration_ns",
        ),
        may={**_LISTED, **_COMMON},
        fixed=_WHOLE,
    ),
    InstrumentClass.PERPETUAL: ClassRow(
        nautilus="CryptoPerpetual",
        needs=(
            "base_currency",
            "quote_currency",
            "settlement_currency",
            "price_increment",
            "size_increment",
            *_FEES,
        ),
        may={"is_inverse": False, "multiplier": "1", "lot_size": "1", **_LIMITS, **_MARGINS, **_COMMON},
    ),
    InstrumentClass.CRYPTO_FUTURE: ClassRow(
        nautilus="CryptoFuture", needs=_CRYPTO, may={**_CRYPTO_MAY, **_COMMON}
    ),
    InstrumentClass.CRYPTO_OPTION: ClassRow(
        nautilus="CryptoOption",
        needs=(*_CRYPTO, "option_kind", "strike_price"),
        may={**_CRYPTO_MAY, **_COMMON},
    ),
    InstrumentClass.CFD: ClassRow(
        nautilus="Cfd",
        needs=("asset_class", "quote_currency", "price_increment", "size_increment"),
        may={"base_currency": None, "lot_size": None, **_LIMITS, **_MARGINS, **_FEES, **_COMMON},
    ),
    InstrumentClass.INDEX: ClassRow(
        nautilus="IndexInstrument",
        needs=("currency", "price_increment"),
        may={"size_increment": "1", **_COMMON},
    ),
    InstrumentClass.COMMODITY: ClassRow(
        nautilus="Commodity",
        needs=("asset_class", "quote_currency", "price_increment", "size_increment"),
        may={"lot_size": None, **_LIMITS, **_MARGINS, **_FEES, **_COMMON},
    ),
    InstrumentClass.PERPETUAL_CONTRACT: ClassRow(
        nautilus="PerpetualContract",
        needs=(
            "asset_class",
            "underlying",
            "quote_currency",
            "settlement_currency",
            "price_increment",
            "size_increment",
            *_FEES,
        ),
        may={
            "base_currency": None,
            "is_inverse": False,
            "multiplier": "1",
            "lot_size": "1",
            **_LIMITS,
            **_MARGINS,
            **_COMMON,
        },
    ),
    InstrumentClass.TOKENIZED_ASSET: ClassRow(
        nautilus="TokenizedAsset",
        needs=("asset_class", "base_currency", "quote_currency", "price_increment", "size_increment", *_FEES),
        may={"isin": None, "multiplier": "1", "lot_size": None, **_LIMITS, **_MARGINS, **_COMMON},
    ),
    InstrumentClass.FUTURE_SPREAD: ClassRow(
        nautilus="FuturesSpread", needs=_SPREAD, may={**_LISTED, **_COMMON}, fixed=_WHOLE
    ),
    InstrumentClass.OPTION_SPREAD: ClassRow(
        nautilus="OptionSpread", needs=_SPREAD, may={**_LISTED, **_COMMON}, fixed=_WHOLE
    ),
    InstrumentClass.CRYPTO_FUTURE_SPREAD: ClassRow(
        nautilus="CryptoFuturesSpread", needs=(*_CRYPTO, "strategy_type"), may={**_CRYPTO_MAY, **_COMMON}
    ),
    InstrumentClass.CRYPTO_OPTION_SPREAD: ClassRow(
        nautilus="CryptoOptionSpread", needs=(*_CRYPTO, "strategy_type"), may={**_CRYPTO_MAY, **_COMMON}
    ),
    InstrumentClass.BINARY_OPTION: ClassRow(
        nautilus="BinaryOption",
        needs=("asset_class", "currency", "price_increment", "size_increment", "expiration_ns"),
        may={"activation_ns": 0, "outcome": None, "description": None, **_QUANTITIES, **_FEES, **_COMMON},
    ),
}
"""What each class that options can describe is made of. A betting market is described in NautilusTrader's JSON only."""
