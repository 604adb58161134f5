"""What a catalog folder holds, from the names and sizes of its files alone."""

from pathlib import Path

from flotilla.engine_sidecar.catalog.names import names_of
from flotilla.schemas.catalog import CatalogView, catalog_entries


def catalog_view(catalog: Path) -> CatalogView:
    """The data sets of a catalog; an absent folder is an empty catalog."""
    files = [
        (file.relative_to(catalog).as_posix(), file.stat().st_size)
        for file in catalog.glob("data/*/*/*.parquet")
    ]
    return CatalogView(path=str(catalog), entries=catalog_entries(files, names_of(catalog)))
