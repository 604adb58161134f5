"""What docs/architecture.md and CONTRIBUTING.md point at is there: each path, each `file:name`, each link."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ("docs/architecture.md", "CONTRIBUTING.md")
FOLDERS = "schemas|bus|services|engine_sidecar|templates|flotilla|tests|benchmarks|deploy|docs|scripts|data|exchanges"
POINTER = re.compile(
    rf"`((?:{FOLDERS}|\.ci)/[\w./*-]*|[\w.-]+\.(?:md|toml|py)|Makefile|\.ci/run)(?::([A-Za-z_][\w.]*))?`"
)


def pointers(page: str) -> Iterator[tuple[str, str | None]]:
    """The paths that a page names, from the root of the checkout, each with what it is said to define."""
    yield from POINTER.findall((ROOT / page).read_text())


def defined(file: Path) -> set[str]:
    """The functions, classes and constants of a module, those within a class as `Class.name`."""

    def within(body: list[ast.stmt], prefix: str) -> Iterator[str]:
        for node in body:
            match node:
                case ast.ClassDef(name=name, body=inner):
                    yield prefix + name
                    yield from within(inner, f"{prefix}{name}.")
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                    yield prefix + name
                case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
                    yield prefix + name

    return set(within(ast.parse(file.read_text()).body, ""))


@pytest.mark.parametrize("page", PAGES)
def test_every_path_that_a_page_for_newcomers_names_is_there(page: str) -> None:
    named = [path for path, _ in pointers(page)]
    assert named
    assert [path for path in named if not list(ROOT.glob(path.rstrip("/")))] == []


def test_every_function_that_the_architecture_page_names_is_defined_where_it_says() -> None:
    named = [(path, name) for path, name in pointers("docs/architecture.md") if name]
    assert len(named) > 40
    assert [(path, name) for path, name in named if name not in defined(ROOT / path)] == []


@pytest.mark.parametrize("page", [*PAGES, "README.md"])
def test_every_link_of_a_page_leads_somewhere(page: str) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", (ROOT / page).read_text())
    assert [link for link in links if not ((ROOT / page).parent / link).exists()] == []
