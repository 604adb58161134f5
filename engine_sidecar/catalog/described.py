"""From the fields of an instrument to the instrument: every fault is named by its field, and nothing is lost on the way.

NautilusTrader takes an expiry before the activation, an unknown currency and a wrong ISIN without a word, drops keys that it does not
know, and its catalog drops some that it does.
"""

from collections.abc import Collection, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from nautilus_trader.model import instruments
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.serialization.arrow.implementations.instruments import deserialize, serialize

from flotilla.engine_sidecar.catalog.instrument_faults import digits, faults, is_currency
from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError
from flotilla.schemas.instrument_classes import CLASSES, InstrumentClass

BETTING: Final = "BettingInstrument"
BY_NAUTILUS: Final = {row.nautilus: kind for kind, row in CLASSES.items()} | {
    BETTING: InstrumentClass.BETTING
}
_PRECISIONS: Final = (("price_precision", "price_increment"), ("size_precision", "size_increment"))


def class_of(instrument: Instrument) -> InstrumentClass:
    """The class of an instrument, as people name it."""
    return BY_NAUTILUS[type(instrument).__name__]


def to_dict(instrument: Instrument) -> dict[str, Any]:
    """NautilusTrader's own form of it."""
    values: dict[str, Any] = type(instrument).to_dict(instrument)
    return values


def described(
    kind: InstrumentClass, values: Mapping[str, Any], new_currencies: Collection[str] = ()
) -> Instrument:
    """The instrument of NautilusTrader's fields; those that may be left out take what holds without them.

    Raises ImportRefusedError that names every field at fault, and those that NautilusTrader or its catalog would lose.
    """
    whole = values if kind is InstrumentClass.BETTING else complete(kind, values)
    name = BETTING if kind is InstrumentClass.BETTING else CLASSES[kind].nautilus
    if wrong := list(faults(kind, whole, new_currencies)):
        raise ImportRefusedError(f"{values.get('id')}: {'; '.join(wrong)}")
    try:
        instrument = getattr(instruments, name).from_dict({"type": name, **whole})
        kept = to_dict(deserialize(serialize(instrument))[0])
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise ImportRefusedError(
            f"{values.get('id')}: NautilusTrader takes no such {kind}: {error}"
        ) from None
    lost = [
        name for name, value in values.items() if value is not None and not _is_same(kept.get(name), value)
    ]
    if lost:
        raise ImportRefusedError(
            f"{values.get('id')}: {', '.join(lost)} would be lost: the catalog keeps none of a {kind}"
        )
    return instrument


def complete(kind: InstrumentClass, values: Mapping[str, Any]) -> dict[str, Any]:
    """With what holds where a field is not given; precisions are the digits of tick and step."""
    row = CLASSES[kind]
    given = {name: value for name, value in values.items() if value is not None}
    whole = {**row.fixed, **row.may, **given}
    whole["raw_symbol"] = whole.get("raw_symbol") or str(values.get("id")).rpartition(".")[0]
    for precision, increment in _PRECISIONS:
        if increment in row.fields and precision not in whole and isinstance(whole.get(increment), str):
            whole[precision] = digits(whole[increment])
    return whole


def pair_of(symbol: str) -> tuple[str, str] | None:
    """The two currencies that a symbol is made of, such as EUR/USD or BTCUSDT; None where it is not, or in several ways."""
    if symbol.count("/") == 1:
        base, quote = symbol.split("/")
        return base, quote
    cuts = [(symbol[:cut], symbol[cut:]) for cut in range(3, len(symbol) - 2)]
    found = [pair for pair in cuts if all(map(is_currency, pair))]
    return found[0] if len(found) == 1 else None


def _is_same(kept: Any, given: Any) -> bool:
    if kept == given:
        return True
    try:
        return isinstance(given, str) and isinstance(kept, str) and Decimal(kept) == Decimal(given)
    except InvalidOperation:
        return False
