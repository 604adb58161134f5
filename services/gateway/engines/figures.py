"""Resource figures: the strings that `docker stats` prints, and the numbers beside them."""

from typing import Any, Final

from flotilla.schemas.telemetry import Resources

UNKNOWN: Final = "--"
"""What `docker stats` prints for a figure that it does not have."""
_BINARY: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_DECIMAL: Final = ("B", "kB", "MB", "GB", "TB", "PB")
_NUMBERS: Final = Resources.__struct_fields__


def binary_size(count: int) -> str:
    """Bytes as docker prints memory: `512MiB`, `1.953GiB` (four significant digits)."""
    return _size(count, 1024, _BINARY, 4)


def decimal_size(count: int) -> str:
    """Bytes as docker prints traffic: `1.23kB`, `45.6MB` (three significant digits)."""
    return _size(count, 1000, _DECIMAL, 3)


def resource_usage(resources: Resources | None) -> dict[str, Any]:
    """The contract's `resource_usage` of one engine; strings read `--` and numbers are null for what is not known."""
    if resources is None:
        strings = ("cpu_percent", "memory_usage", "memory_percent", "network_io", "block_io")
        return {**dict.fromkeys(strings, UNKNOWN), **dict.fromkeys(_NUMBERS)}
    used, limit = resources.memory_bytes, resources.memory_limit_bytes
    return {
        "cpu_percent": f"{resources.cpu_fraction:.2%}",
        "memory_usage": f"{binary_size(used)} / {binary_size(limit)}",
        "memory_percent": f"{used / limit:.2%}" if limit else UNKNOWN,
        "network_io": _traffic(resources.network_rx_bytes, resources.network_tx_bytes),
        "block_io": _traffic(resources.block_read_bytes, resources.block_write_bytes),
        **{name: getattr(resources, name) for name in _NUMBERS},
    }


def _traffic(received: int | None, sent: int | None) -> str:
    if received is None or sent is None:
        return UNKNOWN
    return f"{decimal_size(received)} / {decimal_size(sent)}"


def _size(count: int, base: int, units: tuple[str, ...], digits: int) -> str:
    size, unit = float(count), 0
    # What is printed must be below the base, not what is computed: 999.9 kB prints as 1MB, not as 1e+03kB.
    while float(f"{size:.{digits}g}") >= base and unit < len(units) - 1:
        size, unit = size / base, unit + 1
    return f"{size:.{digits}g}{units[unit]}"
