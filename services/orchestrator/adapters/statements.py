"""The SQL statements, one per file, by the file's name."""

from importlib.resources import files
from typing import Final

SQL: Final = {
    file.name.removesuffix(".sql"): file.read_text()
    for file in files("flotilla.services.orchestrator.adapters.queries").iterdir()
    if file.name.endswith(".sql")
}
