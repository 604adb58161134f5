"""The labels by which the supervisor knows its own."""

from typing import Final

OWNER: Final = "flotilla.owner"
HOST: Final = "flotilla.host"
INSTANCE: Final = "flotilla.instance"
SESSION: Final = "flotilla.session"
GENERATION: Final = "flotilla.generation"
SPEC: Final = "flotilla.spec"
ENGINE_TYPE: Final = "flotilla.engine-type"
TRADING_MODE: Final = "flotilla.trading-mode"
WORKER: Final = "flotilla.worker"
"""Only a worker's container has it."""
LABEL: Final = "flotilla.label."
"""Before the key of each of the engine's own labels."""
CHECK: Final = "flotilla.check"
"""Marks a container that checks a plan, in the place of OWNER, with the owner as its value."""
