"""Names by which plans, templates and stored results call our strategies and clients: `engine_sidecar.strategies.grid:Grid`.

They are on the wire and on record, so they stay, wherever our packages lie: `engine_sidecar` is `flotilla.engine_sidecar`, module
by module the same object.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType

_NAME = "engine_sidecar"


class _PublicNames:
    """A finder and a loader. Their base classes in importlib.abc take 40 ms to import, in which no zygote has been started yet."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] != _NAME:
            return None
        return ModuleSpec(fullname, self)  # type: ignore[arg-type]  # a loader by what it does

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = import_module(f"flotilla.{spec.name}")
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        # The import system has put the spec of the other name there.
        spec = module.__spec__
        module.__spec__ = spec.loader_state if spec else None


def serve_public_names() -> None:
    """Has `engine_sidecar` mean ours in this process, whatever else on the path is called so."""
    if not any(isinstance(finder, _PublicNames) for finder in sys.meta_path):
        sys.meta_path.insert(0, _PublicNames())


def public_name(module: str) -> str:
    """What people call a module of ours; any other keeps its name."""
    return module.removeprefix("flotilla.") if module.startswith(f"flotilla.{_NAME}.") else module
