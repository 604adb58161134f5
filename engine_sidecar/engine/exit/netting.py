"""What is to be closed of the positions in the cache, where a venue keeps one position of an instrument and the cache several."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any


def to_close(positions: Iterable[Any], is_netted: Callable[[Any], bool]) -> list[tuple[Any, Decimal]]:
    """The positions that are open at venues, each with the quantity of it that is.

    Of contrary positions in an instrument that the venue nets only the difference is there. It stands on the side of the larger
    ones; closing each of them by itself would turn the account's position round, or be refused where orders only reduce.
    """
    groups: dict[tuple[Any, Any, bool], list[Any]] = defaultdict(list)
    for position in positions:
        groups[position.account_id, position.instrument_id, is_netted(position)].append(position)
    found: list[tuple[Any, Decimal]] = []
    for (_, _, is_one), group in groups.items():
        if is_one:
            found += _of_the_difference(group)
        else:
            found += [(each, abs(each.signed_decimal_qty())) for each in group]
    return found


def _of_the_difference(group: list[Any]) -> Iterator[tuple[Any, Decimal]]:
    net = sum((each.signed_decimal_qty() for each in group), Decimal())
    left = abs(net)
    for each in sorted(group, key=lambda one: str(one.id)):
        held = each.signed_decimal_qty()
        if held * net > 0 and left:
            yield each, min(abs(held), left)
            left -= min(abs(held), left)
