"""The table in docs/rest-contract.md names a test for everything that goes wrong easily, and every one of them exists."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAD = "| What went wrong | The test |"


def rows() -> list[tuple[str, str]]:
    lines = (ROOT / "docs/rest-contract.md").read_text().splitlines()
    table = lines[lines.index(HEAD) + 2 :]
    cells = [line.strip("|").split("|") for line in table if line.startswith("|")]
    return [(wrong.strip(), test.strip()) for wrong, test in cells]


def functions_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {function.name for function in functions if function.name.startswith("test_")}


def test_the_table_has_every_line_once() -> None:
    wrong = [line for line, _ in rows()]
    assert len(wrong) == len(set(wrong)) == 29


@pytest.mark.parametrize(("wrong", "test"), rows())
def test_what_went_wrong_has_a_test_that_exists(wrong: str, test: str) -> None:
    assert wrong
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", test)
    assert named
    assert len(named) == test.count("`") // 2, "only tests stand in this column"
    for file, name in named:
        assert name in functions_in(ROOT / file), f"{file} has no {name}"
