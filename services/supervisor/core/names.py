"""The labels by which the supervisor knows its own."""

from typing import Final

OWNER: Final = "flotilla.owner"
HOST: Final = "flotilla.host"
INSTANCE: Final = "flotilla.instance"
SESSION: Final = "flotilla.session"
GENERATION: Final = "flotilla.generation"
SPEC: Final = "flotilla.spec"
