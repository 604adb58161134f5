"""The catalogs that are attached to a host's catalog: each is seen in containers at the path that it has here."""

import os
from pathlib import Path

import msgspec

from flotilla.bus.logs import get_logger
from flotilla.schemas.catalog import ATTACHED_FILE, attached_catalogs
from flotilla.services.supervisor.core.spec import USER

log = get_logger(__name__)


def attached_paths(catalog: str) -> tuple[str, ...]:
    """Their folders, those that are away too; none for a catalog that is a volume of Docker, which has no place here."""
    if not catalog.startswith("/"):
        return ()
    try:
        return tuple(one.path for one in attached_catalogs((Path(catalog) / ATTACHED_FILE).read_bytes()))
    except FileNotFoundError:
        return ()
    except (OSError, msgspec.MsgspecError) as error:
        log.error("attached catalogs are not known", catalog=catalog, error=str(error))  # noqa: TRY400
        return ()


def owner_of(catalog: str) -> str:
    """The account that may change a catalog, as Docker writes it: whose folder it is, of a volume that of all engines."""
    if not catalog.startswith("/"):
        return USER
    try:
        there = Path(catalog).stat()
    except FileNotFoundError:
        return USER
    return f"{there.st_uid}:{there.st_gid}"


def mountable(paths: tuple[str, ...]) -> tuple[str, ...]:
    """Those that are there: Docker would start nothing with the mount of one that is not."""
    return tuple(path for path in paths if os.path.isdir(path))
