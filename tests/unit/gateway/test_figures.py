"""Figures as `docker stats` prints them: four significant digits and KiB for memory, three and kB for traffic."""

import pytest

from flotilla.schemas.telemetry import Resources
from flotilla.services.gateway.engines.views import binary_size, decimal_size, resource_usage


@pytest.mark.parametrize(
    ("count", "binary", "decimal"),
    [
        (0, "0B", "0B"),
        (999, "999B", "999B"),
        (1_000, "1000B", "1kB"),
        (1_023, "1023B", "1.02kB"),
        (1_024, "1KiB", "1.02kB"),
        (999_949, "976.5KiB", "1MB"),
        (1_048_575, "1MiB", "1.05MB"),
        (13_107_200, "12.5MiB", "13.1MB"),
        (2 << 30, "2GiB", "2.15GB"),
        (5_476_083_302_400, "4.98TiB", "5.48TB"),
    ],
)
def test_sizes_read_as_docker_prints_them(count: int, binary: str, decimal: str) -> None:
    assert (binary_size(count), decimal_size(count)) == (binary, decimal)


def test_all_figures_stand_as_strings_and_as_numbers() -> None:
    usage = resource_usage(
        Resources(
            cpu_fraction=1.5,
            memory_bytes=1 << 30,
            memory_limit_bytes=2 << 30,
            pids=12,
            network_rx_bytes=1_230,
            network_tx_bytes=0,
            block_read_bytes=4_500_000,
            block_write_bytes=1,
        )
    )
    assert usage == {
        "cpu_percent": "150.00%",
        "memory_usage": "1GiB / 2GiB",
        "memory_percent": "50.00%",
        "network_io": "1.23kB / 0B",
        "block_io": "4.5MB / 1B",
        "cpu_fraction": 1.5,
        "memory_bytes": 1 << 30,
        "memory_limit_bytes": 2 << 30,
        "pids": 12,
        "network_rx_bytes": 1_230,
        "network_tx_bytes": 0,
        "block_read_bytes": 4_500_000,
        "block_write_bytes": 1,
    }


def test_what_is_not_known_is_said_to_be_unknown_and_no_number_is_zero() -> None:
    usage = resource_usage(None)
    assert usage["memory_usage"] == usage["network_io"] == usage["block_io"] == "--"
    assert usage["cpu_fraction"] is usage["memory_bytes"] is None
    some = resource_usage(Resources(cpu_fraction=0.0, memory_bytes=0, memory_limit_bytes=0, pids=1))
    assert (some["network_io"], some["network_rx_bytes"]) == ("--", None)


def test_a_share_reads_as_a_number_also_while_it_is_not_known() -> None:
    for usage in (
        resource_usage(None),
        resource_usage(Resources(cpu_fraction=0.0, memory_bytes=0, memory_limit_bytes=0, pids=1)),
    ):
        assert usage["cpu_percent"] == usage["memory_percent"] == "0.00%"
