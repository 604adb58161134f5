"""Requirements followed through wheels and what engines have, by what engines are and not by what this machine is."""

import pytest

from flotilla.schemas.package import EnginePython
from flotilla.schemas.requirement import requirements_of, settled
from flotilla.schemas.wheel_archive import OpenWheel
from tests.wheels import wheel

PYTHON = EnginePython(
    environment={
        "python_version": "3.13",
        "python_full_version": "3.13.5",
        "sys_platform": "linux",
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "platform_machine": "x86_64",
    },
    tags=("py3-none-any",),
    installed={"numpy": "2.5.5", "pandas": "3.1.1"},
)


def found(text: str, *wheels: OpenWheel) -> tuple[set[str], list[str], list[str]]:
    asked, problems = requirements_of({"requirements.txt": text.encode()})
    assert problems == ()
    done = settled(asked, {each.name: each for each in wheels}, PYTHON)
    return (
        {*done.used},
        [str(each.requirement) for each in done.missing],
        [each.message for each in done.problems],
    )


def made(name: str, version: str = "1.0", requires: list[str] | None = None, metadata: str = "") -> OpenWheel:
    file, data = wheel(name, version, requires=requires or [], metadata=metadata)
    return OpenWheel(data, file)


def test_what_engines_have_needs_no_wheel_and_what_they_lack_is_missing() -> None:
    assert found("numpy>=2\nPandas\nfe_a>=1") == (set(), ["fe_a>=1"], [])


def test_wheels_are_followed_to_the_end_and_in_circles_once() -> None:
    a, b = made("fe-a", requires=["FE.b>=1", "numpy"]), made("fe-b", requires=["fe-a", "fe-c<2"])
    assert found("fe-a", a, b, made("fe-d")) == ({"fe-a", "fe-b"}, ["fe-c<2"], [])


def test_markers_and_extras_are_those_of_engines() -> None:
    markers = ["fe-b; sys_platform == 'win32'", "fe-c; python_version >= '3.13'", "fe-d; extra == 'more'"]
    head = "Metadata-Version: 2.1\nName: fe-a\nVersion: 1.0\nProvides-Extra: more\n"
    a = made("fe-a", requires=markers, metadata=head)
    assert found("fe-a", a)[1] == ['fe-c; python_version >= "3.13"']
    assert found("fe-a[more]", a)[1] == ['fe-c; python_version >= "3.13"', 'fe-d; extra == "more"']
    assert found("fe-a; sys_platform == 'darwin'", a) == (set(), [], [])
    assert found("fe-a[less]", a)[2] == ["fe-a[less] is asked for, and fe-a 1.0 has no extra less"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("numpy<2", "numpy<2 is asked for, and engines have numpy 2.5.5"),
        ("fe-a", "numpy<2 is asked for, and engines have numpy 2.5.5"),
        ("pandas[excel]", "engines have pandas 3.1.1, and extras are not added"),
        ("fe-b>=3", "fe-b>=3 is asked for, and the wheel there is of fe-b 1.0"),
        ("fe-old", "fe-old 1.0 needs Python <3.13, and engines have 3.13.5"),
    ],
)
def test_what_never_goes_together_is_named_with_both_versions(text: str, words: str) -> None:
    old = made(
        "fe-old", metadata="Metadata-Version: 2.1\nName: fe-old\nVersion: 1.0\nRequires-Python: <3.13\n"
    )
    _, missing, problems = found(text, made("fe-a", requires=["numpy<2"]), made("fe-b"), old)
    assert missing == []
    assert [words in each for each in problems] == [True]


@pytest.mark.parametrize("marker", ["python_version ~= 'abc'", "extra ~= 'more'"])
def test_a_marker_that_cannot_be_judged_is_told_with_whoever_has_it(marker: str) -> None:
    asked, _ = requirements_of({"requirements.txt": f"fe-a; {marker}".encode()})
    (problem,) = settled(asked, {}, PYTHON).problems
    assert problem.field == "requirements.txt"
    assert problem.message.startswith("fe-a; ")
    assert "its marker cannot be judged" in problem.message
    asked, _ = requirements_of({"requirements.txt": b"fe-a"})
    (problem,) = settled(asked, {"fe-a": made("fe-a", requires=[f"fe-b; {marker}"])}, PYTHON).problems
    assert (problem.field, "its marker cannot be judged" in problem.message) == ("fe-a 1.0", True)


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("requirements.txt", "-r other.txt", "is no requirement"),
        ("requirements.txt", "./here", "is no requirement"),
        ("requirements.txt", "fe-a @ https://example.org/fe_a.whl", "names an address"),
        ("pyproject.toml", "[project", "it cannot be read"),
        ("pyproject.toml", "project = 5", "no table"),
        ("pyproject.toml", "[project]\ndependencies = 'numpy'", "no list of texts"),
    ],
)
def test_what_is_no_requirement_is_refused_by_its_file(file: str, text: str, words: str) -> None:
    asked, (problem,) = requirements_of({file: text.encode()})
    assert (asked, problem.field, words in problem.message) == ((), file, True)
