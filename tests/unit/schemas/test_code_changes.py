"""What is a change of code, and what of comments, docstrings and formatting alone."""

import warnings

import pytest

from flotilla.schemas.code_changes import (
    LARGEST_BYTES,
    MOST_BYTES,
    changed_files,
    code_digest,
    ignore_warnings,
    is_same_code,
)

SOURCE = '''"""A strategy."""

class Mine:
    """Says what it is."""

    period = 5

    def on_bar(self, bar):
        """Called with each bar."""
        return bar.close > self.period  # above
'''


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# above", "# beyond"),
        ("  # above", ""),
        ('"""A strategy."""\n', ""),
        ('"""Says what it is."""', '"""Says more."""'),
        ('        """Called with each bar."""\n', ""),
        ("    period = 5\n", "\n\n    period = (5)\n"),
        ("period = 5", "period = 0x5"),
    ],
)
def test_comments_docstrings_and_formatting_are_no_code(old: str, new: str) -> None:
    after = SOURCE.replace(old, new)
    assert after != SOURCE
    changes = changed_files({"mine.py": SOURCE.encode()}, {"mine.py": after.encode()})
    assert changes == {"mine.py": "comments"}
    assert is_same_code(changes)
    assert code_digest(SOURCE.encode()) == code_digest(after.encode()) != ""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("period = 5", "period = 6"),
        ("period = 5", "period = 5.0"),
        ("period = 5", 'period = "5"'),
        ("period = 5", "period: int = 5"),
        ("bar.close >", "bar.close >="),
        ("class Mine:", "class Yours:"),
        ("def on_bar", "async def on_bar"),
        ("        return", "        '''Not its docstring any more.'''\n        return"),
        ("        return", "    return"),
        ("class Mine", "class Mine("),
    ],
)
def test_whatever_python_reads_otherwise_is_code(old: str, new: str) -> None:
    changes = changed_files({"mine.py": SOURCE.encode()}, {"mine.py": SOURCE.replace(old, new, 1).encode()})
    assert changes == {"mine.py": "code"}
    assert not is_same_code(changes)
    assert code_digest(SOURCE.encode()) != code_digest(SOURCE.replace(old, new, 1).encode())


def test_files_that_come_go_or_are_no_python_are_named_as_that() -> None:
    before = {"mine.py": b"x = 1\n", "old.py": b"", "table.csv": b"1", "same.bin": b"\0"}
    after = {"mine.py": b"x = 1 # one\n", "new.py": b"", "table.csv": b"2", "same.bin": b"\0"}
    assert changed_files(before, after) == {
        "mine.py": "comments",
        "new.py": "added",
        "old.py": "removed",
        "table.csv": "content",
    }
    assert not is_same_code(changed_files(before, after))
    assert changed_files(before, before) == {}


@pytest.mark.parametrize(
    "source",
    [
        b"def broken(:",
        b"\xff\xfe\x00",
        b"x = 1\0",
        b"(" * 5_000 + b")" * 5_000,
        b"x = " + b"-" * 50_000 + b"1",
        b"x = " + b"1+" * 100_000 + b"1",
        b"x = a" + b".b" * 100_000,
        b"if a:\n b\n" + b"elif a:\n b\n" * 20_000,
        b"#" * (LARGEST_BYTES + 1),
    ],
)
def test_what_cannot_be_read_is_taken_for_code(source: bytes) -> None:
    assert code_digest(source) == ""
    assert changed_files({"a.py": source}, {"a.py": source + b"\n"}) == {"a.py": "code"}


def test_no_more_is_looked_into_than_is_done_at_once() -> None:
    files = {f"m{number:02}.py": b"#" * (200 << 10) for number in range(12)}
    changes = changed_files(files, {name: body + b"\n" for name, body in files.items()})
    kinds = [changes[name] for name in sorted(changes)]
    count = MOST_BYTES // (400 << 10)
    assert kinds == ["comments"] * count + ["code"] * (len(kinds) - count)


def test_data_uses_up_nothing_of_what_python_files_may_be_looked_into() -> None:
    files = {"data.csv": b"1" * (3 << 20), "mine.py": b"x = 1\n"}
    changes = changed_files(files, {name: body + b"#\n" for name, body in files.items()})
    assert changes == {"data.csv": "content", "mine.py": "comments"}


def test_what_python_warns_of_in_a_compared_source_is_not_printed_and_all_else_is() -> None:
    source = b"x = '\\d'\n"
    with warnings.catch_warnings(record=True) as printed:
        warnings.simplefilter("always")
        code_digest(source)
        assert len(printed) == 1
        ignore_warnings()
        assert code_digest(source) != ""
        assert len(printed) == 1
        compile(source, "mine.py", "exec")
        assert len(printed) == 2
