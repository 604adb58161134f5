"""Keeps hatch from building a wheel whose gateway has no dashboard: what git ignores it would leave out without a word."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class DashboardHook(BuildHookInterface[Any]):
    """Runs before a wheel is built."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Raises RuntimeError when the dashboard was not built. An editable install finds it in the checkout, once it is there."""
        page = Path(self.root) / "services/gateway/dashboard/index.html"
        if version != "editable" and not page.is_file():
            raise RuntimeError(f"{page} is not there: build the dashboard first, with make web")
