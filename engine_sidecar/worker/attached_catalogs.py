"""Whether a worker's container was given all catalogs that are attached by now: it cannot be given another."""

from pathlib import Path

from flotilla.schemas.catalog import ATTACHED_FILE, attached_catalogs
from flotilla.schemas.session import Launch


def sees_too_little(launch: Launch) -> bool:
    """True once others are attached than were when the container was made. Raises OSError, msgspec.DecodeError."""
    if launch.attached is None:
        return False
    try:
        text = (Path(launch.catalog_path) / ATTACHED_FILE).read_bytes()
    except FileNotFoundError:
        text = b"[]"
    return {one.path for one in attached_catalogs(text)} != set(launch.attached)
