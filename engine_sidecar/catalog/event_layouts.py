"""Which columns files of order book changes, mark and index prices, and funding rates have: our own names, and those of vendors."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError
from flotilla.schemas.backtest import DataKind


class EventLayout(NamedTuple):
    """`needed` and `optional` have the title of each field; `marks` are columns that tell the vendor. A layout of ours has no vendor.

    `flags` are those of every row, where the file has no column of them.
    """

    kind: DataKind
    needed: Mapping[str, str]
    optional: Mapping[str, str] = {}
    vendor: str = ""
    marks: frozenset[str] = frozenset()
    flags: int = 0

    @property
    def columns(self) -> dict[str, str]:
        """Every field with its title."""
        return {**self.needed, **self.optional}


_TARDIS_TIMES: Final = {"known": "local_timestamp", "event": "timestamp"}
_DERIVATIVES: Final = frozenset(
    ("exchange", "symbol", "local_timestamp", "funding_rate", "index_price", "mark_price", "open_interest")
)
_NAMED: Final = 12
_OWN_TIMES: Final = {"known": "timestamp"}
_OWN_EVENT: Final = {"event": "ts_event"}

LEVELS: Final = tuple(
    f"{side}_{what}_{level}" for level in range(10) for side in ("bid", "ask") for what in ("price", "size")
)
"""Fields of a book's depth, as NautilusTrader calls them."""
_TARDIS_LEVELS: Final = {
    f"{side}_{what}_{level}": f"{side}s[{level}].{'amount' if what == 'size' else what}"
    for side, what, level in (field.split("_") for field in LEVELS)
}

LAYOUTS: Final = (
    EventLayout(
        DataKind.ORDER_BOOK_DEPTHS,
        {**_TARDIS_TIMES, **_TARDIS_LEVELS},
        vendor="Tardis book snapshot",
        marks=frozenset(("exchange", "symbol", "local_timestamp", "asks[0].price")),
        flags=160,
    ),
    EventLayout(
        DataKind.MARK_PRICES,
        {**_TARDIS_TIMES, "value": "mark_price"},
        vendor="Tardis derivative ticker",
        marks=_DERIVATIVES,
    ),
    EventLayout(
        DataKind.INDEX_PRICES,
        {**_TARDIS_TIMES, "value": "index_price"},
        vendor="Tardis derivative ticker",
        marks=_DERIVATIVES,
    ),
    EventLayout(
        DataKind.FUNDING_RATES,
        {**_TARDIS_TIMES, "rate": "funding_rate"},
        {"next_funding": "funding_timestamp"},
        vendor="Tardis derivative ticker",
        marks=_DERIVATIVES,
    ),
    EventLayout(
        DataKind.FUNDING_RATES,
        {"known": "calc_time", "rate": "last_funding_rate"},
        {"interval_hours": "funding_interval_hours"},
        vendor="Binance funding rates",
        marks=frozenset(("calc_time", "last_funding_rate")),
    ),
    EventLayout(
        DataKind.ORDER_BOOK_DELTAS,
        {
            **_TARDIS_TIMES,
            "is_snapshot": "is_snapshot",
            "side": "side",
            "price": "price",
            "size": "amount",
        },
        vendor="Tardis incremental book",
        marks=frozenset(("exchange", "symbol", "local_timestamp", "is_snapshot", "amount")),
    ),
    EventLayout(
        DataKind.ORDER_BOOK_DELTAS,
        {"known": "timestamp", "is_snapshot": "update_type", "side": "side", "price": "price", "size": "qty"},
        {"sequence": "last_update_id"},
        vendor="Binance order book",
        marks=frozenset(("first_update_id", "last_update_id", "update_type", "qty")),
    ),
    EventLayout(
        DataKind.ORDER_BOOK_DEPTHS,
        {**_OWN_TIMES, **{field: field for field in LEVELS}},
        {**_OWN_EVENT, "flags": "flags", "sequence": "sequence"},
    ),
    EventLayout(DataKind.MARK_PRICES, {**_OWN_TIMES, "value": "mark_price"}, _OWN_EVENT),
    EventLayout(DataKind.INDEX_PRICES, {**_OWN_TIMES, "value": "index_price"}, _OWN_EVENT),
    EventLayout(
        DataKind.FUNDING_RATES,
        {**_OWN_TIMES, "rate": "funding_rate"},
        {**_OWN_EVENT, "interval_minutes": "interval_minutes", "next_funding": "next_funding"},
    ),
    EventLayout(
        DataKind.ORDER_BOOK_DELTAS,
        {**_OWN_TIMES, "action": "action", "side": "side", "price": "price", "size": "size"},
        {**_OWN_EVENT, "order_id": "order_id", "flags": "flags", "sequence": "sequence"},
    ),
)
"""The first that fits; those of ours come last."""


def layout_of(kind: DataKind, header: Sequence[str]) -> EventLayout:
    """The layout of a file with this header. Raises ImportRefusedError that names the columns that are missing."""
    titles = set(header)
    of_kind = [one for one in LAYOUTS if one.kind is kind]
    for one in of_kind:
        if one.vendor and one.marks <= titles:
            break
    else:
        one = of_kind[-1]
    if missing := [title for title in one.needed.values() if title not in titles]:
        vendors = ", ".join(dict.fromkeys(each.vendor for each in of_kind if each.vendor))
        raise ImportRefusedError(
            f"{kind} need the columns {_listed(one.needed.values())}, or those of {vendors}; "
            f"there is no {_listed(missing)}, only {_listed(header)}"
        )
    return one


def _listed(titles: Iterable[str]) -> str:
    names = list(titles)
    return ", ".join(names if len(names) <= _NAMED else [*names[: _NAMED - 1], "…", names[-1]])
