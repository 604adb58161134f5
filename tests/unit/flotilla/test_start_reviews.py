"""What people are shown before an engine trades money with a package."""

import difflib
from collections.abc import Iterator
from difflib import unified_diff
from typing import Any

import pytest

from flotilla.schemas.code_changes import LARGEST_BYTES
from flotilla.schemas.engine import StartReview
from flotilla.schemas.package import PackageChange, PackageRef, ParameterChange, ReviewedPackage
from flotilla.show.start_reviews import diff_of, start_review
from tests.unit.flotilla.test_tables import drawn
from tests.unit.orchestrator.makers import NOW

THEN, NOW_IT_IS = (PackageRef(name="mine", version=number, digest=number * 64) for number in "12")


def review(one: ReviewedPackage, **more: object) -> StartReview:
    return StartReview(instance_id="e1", trades_money=True, packages=(one,), **more)  # type: ignore[arg-type]


def shown(one: StartReview, diff: list[str] | None = None) -> str:
    return " ".join(drawn(start_review(one, {"mine": diff or []})).split())


def test_what_was_never_run_is_said_to_be() -> None:
    new = ReviewedPackage(package=NOW_IT_IS, pushed_at=NOW, pushed_by="ada")
    text = shown(review(new))
    assert f"mine@2 digest {'2' * 64}" in text
    assert "by ada before this engine has never traded money" in text
    assert "not run by session s1" in shown(review(new, ran_live="s1"))
    same = ReviewedPackage(package=NOW_IT_IS, last=NOW_IT_IS)
    assert "the same, as mine@2 in session s1" in shown(review(same, ran_live="s1", gone=(THEN,)))
    assert "not run any more: mine@1" in shown(review(same, ran_live="s1", gone=(THEN,)))


def test_every_change_is_told_and_what_is_too_much_is_counted() -> None:
    change = PackageChange(
        then=THEN,
        now=NOW_IT_IS,
        files={f"m{number:02}.py": "code" for number in range(30)},
        is_same_code=False,
        more_files=5,
    )
    parameters = (
        ParameterChange(of="mine", parameter="fresh", change="added", now=1),
        ParameterChange(of="mine", parameter="gone", change="removed", then=1),
        ParameterChange(of="mine", parameter="period", change="default", then=1, now="x"),
        ParameterChange(of="mine:Watch", parameter="every", change="other", then=1, now=1),
    )
    one = ReviewedPackage(
        package=NOW_IT_IS, last=THEN, change=change, added=("a",), removed=("b",), parameters=parameters
    )
    text = shown(review(one, ran_live="s1"), [f"+line {number}" for number in range(100)])
    for words in (
        "file m19.py: changed file and 15 more",
        "offers a, which it did not",
        "offers b no more",
        "mine: fresh is new, default 1",
        "mine: gone is gone",
        'mine: period has the default "x", and had 1',
        "mine:Watch: every has another type, range or help",
        "+line 79 … there are more lines of difference",
    ):
        assert words in text
    assert "m20.py" not in text


def test_content_that_is_gone_is_said_to_be() -> None:
    one = ReviewedPackage(package=NOW_IT_IS, last=THEN)
    assert "what it ran then is not on record any more" in shown(review(one, ran_live="s1"))


def test_a_difference_is_of_text_and_what_would_move_a_terminal_is_not_printed() -> None:
    before = {"mine.py": b"a = 1\nb = 2\n", "old.py": b"x\n", "table.bin": b"\xff"}
    after = {"mine.py": b"a = 1\nb = '\x1b[2J\xe2\x80\xae'\n", "new.py": b"y\n", "table.bin": b"\xfe"}
    lines = diff_of(before, after, dict.fromkeys(sorted({*before, *after}), "code"))
    assert lines == [
        "--- then/mine.py",
        "+++ now/mine.py",
        "@@ -1,2 +1,2 @@",
        " a = 1",
        "-b = 2",
        "+b = '\ufffd[2J\ufffd'",
        "--- then/new.py",
        "+++ now/new.py",
        "@@ -0,0 +1 @@",
        "+y",
        "--- then/old.py",
        "+++ now/old.py",
        "@@ -1 +0,0 @@",
        "-x",
        "table.bin differs",
    ]


def test_what_is_large_or_no_source_is_not_compared_line_by_line() -> None:
    before = {
        "a.csv": b"1\n" * 9,
        "ends.py": b"x = 1\n",
        "hidden.py": b"x = '\x1b'\n",
        "latin.py": b"x = '\xff'\n",
        "large.py": b"#" * LARGEST_BYTES,
        "long.py": b"x\n" * 5_001,
    }
    after = {name: body.replace(b"\n", b"\r\n") + b"#" for name, body in before.items()} | {
        "ends.py": b"x = 1\r\n",
        "hidden.py": b"x = '\x07'\n",
        "new/__init__.py": b"",
    }
    lines = diff_of(before, after, dict.fromkeys(sorted(after), "code"))
    assert [line for line in lines if "differs" in line] == [
        "a.csv differs",
        "ends.py differs in how lines end",
        "large.py differs",
        "latin.py differs, and is no text",
        "long.py differs, and has more than 5000 lines",
    ]
    # What is not shown as it is, is a difference all the same.
    assert [line for line in lines if line.endswith("x = '\ufffd'")] == ["-x = '\ufffd'", "+x = '\ufffd'"]


def test_no_more_is_compared_than_is_shown_and_no_line_is_shown_at_any_length(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[str] = []

    def noting(*arguments: Any, **more: Any) -> Iterator[str]:
        compared.append(arguments[2])
        return unified_diff(*arguments, **more)

    monkeypatch.setattr(difflib, "unified_diff", noting)
    before = {f"m{number:02}.py": b"x = 1\n" * 30 for number in range(50)}
    after = dict.fromkeys(before, b"y = '" + b"a" * 1000 + b"'\n")
    lines = diff_of(before, after, dict.fromkeys(before, "code"))
    assert (len(lines), len(compared)) == (81, 3)
    assert max(map(len, lines)) == 401
