"""A small disk in memory, mounted for a test, and filled."""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class SmallDisk:
    """A tmpfs on `folder`; mounting takes root."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        size = f"size={megabytes}m"
        subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)], check=True)

    @contextmanager
    def full(self) -> Iterator[None]:
        """Not a block is free, and none that somebody else gives back."""
        filler, is_over = self.folder / "filler", threading.Event()
        filling = threading.Thread(target=_fill, args=(filler, is_over))
        filling.start()
        try:
            yield
        finally:
            is_over.set()
            filling.join()
            filler.unlink()

    def remove(self) -> None:
        """Takes it away, with what is on it."""
        subprocess.run(["umount", "-l", str(self.folder)], check=True)


def _fill(file: Path, is_over: threading.Event) -> None:
    with file.open("wb", buffering=0) as out:
        while not is_over.wait(0.02):
            with suppress(OSError):
                while True:
                    out.write(bytes(1 << 20))
            with suppress(OSError):
                while True:
                    out.write(bytes(1 << 12))
