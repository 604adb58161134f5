"""Keeps which identifier each folder of a catalog stands for, where NautilusTrader left a slash out of the name."""

import os
from pathlib import Path

import msgspec

from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError
from flotilla.schemas.catalog import NAMES_FILE, folder_name, folder_names


def names_of(catalog: Path) -> dict[str, str]:
    """Identifier by folder name; empty for a catalog that no import of ours has written."""
    file = catalog / NAMES_FILE
    return folder_names(file.read_bytes()) if file.exists() else {}


def check_name(catalog: Path, identifier: str) -> None:
    """Raises ImportRefusedError when another identifier has the folder already: EURUSD.SIM where EUR/USD.SIM is."""
    folder = folder_name(identifier)
    owner = names_of(catalog).get(folder, folder)
    if owner != identifier and any(catalog.glob(f"data/*/{folder}")):
        raise ImportRefusedError(f"the catalog has {owner} in the folder that {identifier} would take")


def remember_name(catalog: Path, identifier: str) -> None:
    """Adds an identifier whose folder is called otherwise; does nothing for any other."""
    folder = folder_name(identifier)
    if folder == identifier:
        return
    names = names_of(catalog) | {folder: identifier}
    draft = catalog / f"{NAMES_FILE}.draft"
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(dict(sorted(names.items())))))
    os.replace(draft, catalog / NAMES_FILE)
