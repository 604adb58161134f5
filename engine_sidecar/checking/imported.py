"""What every check needs of NautilusTrader, imported at once: a second, once for all trials. First what keeps plotting libraries out."""

# ruff: noqa: I001
from flotilla.engine_sidecar.engine import preload
from flotilla.engine_sidecar.checking import package_check, plan_check

__all__ = ["package_check", "plan_check", "preload"]
