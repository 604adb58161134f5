"""From folders and files to packages: what is left out, and what is refused by its name."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from flotilla.client.packing import packed
from flotilla.schemas.fault import FaultError
from flotilla.schemas.package_archive import unpack
from flotilla.schemas.requirement import requirements_of


def project(folder: Path, **files: str) -> Path:
    for name, text in {"mine.py": "x = 1\n", **files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_hidden_files_and_caches_are_left_out_and_times_and_modes_change_nothing(tmp_path: Path) -> None:
    first = project(tmp_path / "a", **{".git/x": "", "__pycache__/m.pyc": "", ".env": "k", "d/t.csv": "1"})
    second = project(tmp_path / "b", **{"d/t.csv": "1"})
    os.utime(second / "mine.py", (0, 0))
    (second / "mine.py").chmod(0o755)
    one, other = packed(first, "mine"), packed(second, "mine")
    assert one == other
    assert sorted(unpack(one.archive)) == ["d/t.csv", "mine.py"]


@pytest.mark.parametrize(
    ("path", "given", "name"),
    [
        ("My-Thing", None, "my_thing"),
        ("My-Thing", "other", "other"),
        ("named", None, "from_project"),
        ("one.py", None, "one"),
    ],
)
def test_a_package_is_called_as_its_project_folder_or_file(
    tmp_path: Path, path: str, given: str | None, name: str
) -> None:
    project(tmp_path / "My-Thing")
    project(tmp_path / "named", **{"pyproject.toml": '[project]\nname = "From.Project"\n'})
    (tmp_path / "one.py").write_text("")
    assert packed(tmp_path / path, given).name == name


def test_no_letter_of_a_name_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "Über.py").write_text("")
    with pytest.raises(FaultError, match=r"'Über' cannot name a package: lower case letters"):
        packed(tmp_path / "Über.py")
    assert packed(tmp_path / "Über.py", "ueber").name == "ueber"


def test_a_folder_that_is_a_python_package_keeps_its_name(tmp_path: Path) -> None:
    folder = project(tmp_path / "mine", **{"__init__.py": ""})
    assert sorted(unpack(packed(folder).archive)) == ["mine/__init__.py", "mine/mine.py"]


def test_what_such_a_folder_requires_stands_at_the_top_where_it_is_read(tmp_path: Path) -> None:
    needs = {
        "requirements.txt": "fe-a>=1\n",
        "pyproject.toml": '[project]\nname = "other"\ndependencies = ["fe-b"]\n',
    }
    folder = project(tmp_path / "mine", **{"__init__.py": "", "data/requirements.txt": ""}, **needs)
    made = packed(folder)
    files = unpack(made.archive)
    assert sorted(files) == [
        "mine/__init__.py",
        "mine/data/requirements.txt",
        "mine/mine.py",
        "pyproject.toml",
        "requirements.txt",
    ]
    asked, problems = requirements_of(files)
    assert ([str(each.requirement) for each in asked], problems, made.name) == (
        ["fe-b", "fe-a>=1"],
        (),
        "other",
    )


def link_out(folder: Path) -> None:
    (folder / "passwd.txt").symlink_to("/etc/passwd")


def folder_link(folder: Path) -> None:
    (folder / "etc").symlink_to("/etc")


def pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe.py")


def many(folder: Path) -> None:
    for number in range(2_000):
        (folder / f"f{number}.txt").touch()


def large(folder: Path) -> None:
    with (folder / "large.bin").open("wb") as file:
        file.truncate(3 << 30)


def odd_name(folder: Path) -> None:
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff.txt")).write_text("")


def shadow(folder: Path) -> None:
    (folder / "random.py").write_text("")


def bad_project(folder: Path) -> None:
    (folder / "pyproject.toml").write_text("[project")


def no_table(folder: Path) -> None:
    (folder / "pyproject.toml").write_text("project = 1")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (link_out, "passwd.txt is a link"),
        (folder_link, "etc is a link"),
        (pipe, "pipe.py is no plain file"),
        (many, "more than 2000 files"),
        (large, "large.bin: with it the package has more than 8 MiB"),
        (odd_name, "not printable text in UTF-8"),
        (shadow, "random: a module of this name is one of Python's own"),
        (bad_project, "pyproject.toml: it cannot be read"),
        (no_table, "pyproject.toml: `project` is no table"),
    ],
)
def test_what_cannot_be_packed_is_named(tmp_path: Path, spoil: Callable[[Path], None], words: str) -> None:
    folder = project(tmp_path / "mine")
    spoil(folder)
    with pytest.raises(FaultError) as caught:
        packed(folder)
    assert words in caught.value.fault.message


@pytest.mark.parametrize(
    ("name", "words"),
    [("notes.txt", "ends in .py"), ("9.py", "no Python module"), ("absent.py", "No such file")],
)
def test_a_path_that_is_no_package_is_refused(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "9.py").write_text("")
    (tmp_path / "mine.py").write_text("")
    with pytest.raises(FaultError, match=words):
        packed(tmp_path / name)
