"""Adapters by the names that venues have in templates/venues, for what is bound to one."""

import re
from importlib import resources
from typing import Any, Final

import msgspec

from flotilla.schemas.alerting import ALERT_ADAPTER, HEARTBEAT_ADAPTER
from flotilla.schemas.fault import FieldError, invalid

_OF_NOTIFIER: Final = (ALERT_ADAPTER, HEARTBEAT_ADAPTER)
"""No packages of adapters: what is bound to one of these is for the notifier."""
_MODULE: Final = re.compile(r"\A[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*\Z", re.ASCII)


def adapter_module(name: str) -> str:
    """The package of an adapter: that of a venue of ours by its name, or the one that is named, such as `my_adapters.bazaar`.

    A module at the top is named by an import path within it, such as `bazaar:BazaarDataClientConfig`. Raises FaultError `invalid`.
    """
    if name in _OF_NOTIFIER:
        return name
    ours = known_adapters()
    module = name.partition(":")[0]
    if name in ours:
        return ours[name]
    if _MODULE.match(module) and ("." in module or ":" in name):
        return module
    raise invalid(
        FieldError(
            "adapter",
            f"must be one of {', '.join(sorted(ours))}, or the package of your own, such as my_adapters.bazaar",
        )
    )


def known_adapters() -> dict[str, str]:
    """The package of each adapter of templates/venues, by its name there."""
    return {name: _package(template) for name, template in venue_templates().items()}


def venue_templates() -> dict[str, dict[str, Any]]:
    """What templates/venues has, by name."""
    folder = resources.files("flotilla.templates") / "venues"
    files = [file for file in folder.iterdir() if file.name.endswith(".json")]
    return {file.name.removesuffix(".json"): msgspec.json.decode(file.read_bytes()) for file in files}


def _package(template: dict[str, Any]) -> str:
    client = template.get("data") or template["execution"]
    path: str = client["path"]
    return path.partition(":")[0].rpartition(".")[0]
