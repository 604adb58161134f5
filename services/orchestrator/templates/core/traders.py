"""Names that NautilusTrader wants in its own form: trader ids and the order id tags of strategies."""

from collections.abc import Sequence
from itertools import count
from typing import Any


def trader_id(instance_id: str) -> str:
    """The instance id in upper case with `-001` after it: nautilus-001 → NAUTILUS-001-001, alpha → ALPHA-001.

    No two engines share one: it is the prefix of an engine's keys in Redis. NautilusTrader aborts the process on a trader id
    without a hyphen and a tag after it.
    """
    return f"{instance_id.upper()}-001"


def with_order_id_tags(configs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The strategies' configs, each with an `order_id_tag` of its own: the one it has, else the first of 001, 002, … left."""
    taken = {str(config["order_id_tag"]) for config in configs if config.get("order_id_tag") is not None}
    free = (tag for number in count(1) if (tag := f"{number:03}") not in taken)
    return [
        config if config.get("order_id_tag") is not None else {**config, "order_id_tag": next(free)}
        for config in configs
    ]


def repeated_tags(configs: Sequence[dict[str, Any]]) -> dict[int, str]:
    """The tags that an earlier strategy has already, by the index of the later one."""
    seen: set[str] = set()
    repeated: dict[int, str] = {}
    for index, config in enumerate(configs):
        tag = config.get("order_id_tag")
        if tag is not None and str(tag) in seen:
            repeated[index] = str(tag)
        seen.add(str(tag))
    return repeated
