"""What plans are made from: the templates and the data catalog, wherever they are kept."""

from typing import Protocol

from flotilla.schemas.catalog import CatalogView
from flotilla.services.orchestrator.templates.core.templates import TemplateSet


class Templates(Protocol):
    """Where templates are kept."""

    async def template_set(self) -> TemplateSet:
        """The sound ones. Raises FaultError `unavailable` when they cannot be read at all."""


class Catalog(Protocol):
    """The data catalog."""

    async def view(self) -> CatalogView:
        """What it holds; nothing when it is not there."""
