"""How much memory this process came to hold. Tracing Python's would crash: CPython 3.13.0 may not stop it while other threads run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def growth_mib() -> Iterator[Callable[[], int]]:
    """Within it the function tells by how much (MiB) the most that was resident is above what it began with; native memory too."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted anew
    before = _mib("VmRSS")
    yield lambda: _mib("VmHWM") - before


def _mib(name: str) -> int:
    return int(Path("/proc/self/status").read_text().partition(f"{name}:")[2].split()[0]) >> 10
