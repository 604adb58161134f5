"""Archives of packages: equal content has equal bytes, and nothing else is taken."""

import io
import zipfile
from collections.abc import Callable

import pytest

from flotilla.schemas import package_archive
from flotilla.schemas.package_archive import (
    MOST_FILES,
    ArchiveError,
    archive_file,
    contents,
    digest_of,
    importable_names,
    module_root,
    modules_of,
    never_run,
    pack,
    top_names,
    unpack,
)

FILES = {"mine.py": b"x = 1\n", "data/table.csv": b"a,b\n1,2\n", "README.md": "é".encode()}


def zipped(change: Callable[[zipfile.ZipInfo], None] | None = None, **names: bytes) -> bytes:
    """A zip that is ours but for what `change` does to each entry."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in (names or {"mine.py": b"x = 1\n"}).items():
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.create_system, info.external_attr = 3, 0o100644 << 16
            if change is not None:
                change(info)
            archive.writestr(info, content)
    return buffer.getvalue()


def test_the_order_of_files_changes_nothing_and_what_is_packed_comes_out() -> None:
    archive = pack(FILES)
    assert archive == pack(dict(reversed(FILES.items())))
    assert unpack(archive) == FILES
    assert digest_of(archive) != digest_of(pack({**FILES, "mine.py": b"x = 2\n"}))


def test_the_digest_of_a_content_is_the_same_everywhere_and_for_ever() -> None:
    known = "f4e35a990b58365440a01091580ae89f6881241b61011175f4a118cc18f39b8a"
    assert digest_of(pack({"mine.py": b"x = 1\n"})) == known


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("/etc/passwd.py", "no plain path"),
        ("../up.py", "no plain path"),
        ("a/../b.py", "no plain path"),
        ("a//b.py", "no plain path"),
        ("./a.py", "no plain path"),
        ("a\\b.py", "no plain path"),
        ("", "no plain path"),
        ("a\nb.py", "not printable"),
        ("a\udcff.py", "not printable"),
        (f"{'a' * 240}.py", "longer than"),
        ("__pycache__/a.py", "no part of a package"),
        (".hidden.py", "no part of a package"),
        ("random.py", "one of Python's own"),
        ("json/__init__.py", "one of Python's own"),
        ("nautilus_trader.py", "in use by every engine"),
        ("flotilla/__init__.py", "in use by every engine"),
        ("engine_sidecar/x.py", "in use by every engine"),
    ],
)
def test_a_file_that_no_package_may_have_is_named(name: str, words: str) -> None:
    with pytest.raises(ArchiveError, match=words):
        pack({**FILES, name: b""})


def test_a_package_has_modules_and_is_bounded() -> None:
    with pytest.raises(ArchiveError, match="no Python module"):
        pack({"README.md": b"hello"})
    with pytest.raises(ArchiveError, match=f"at most {MOST_FILES}"):
        pack({f"m{number}.py": b"" for number in range(MOST_FILES + 1)})
    with pytest.raises(ArchiveError, match=r"big\.bin: with it the package is too large"):
        pack({"mine.py": b"", "big.bin": bytes(9 << 20)})
    with pytest.raises(ArchiveError, match="is a file, and a folder"):
        pack({"mine.py": b"", "data": b"", "data/x.csv": b""})


def compressed(info: zipfile.ZipInfo) -> None:
    info.compress_type = zipfile.ZIP_DEFLATED


def link(info: zipfile.ZipInfo) -> None:
    info.external_attr = 0o120777 << 16


def executable(info: zipfile.ZipInfo) -> None:
    info.external_attr = 0o100755 << 16


def dated(info: zipfile.ZipInfo) -> None:
    info.date_time = (2020, 1, 1, 0, 0, 0)


def commented(info: zipfile.ZipInfo) -> None:
    info.comment = b"hello"


@pytest.mark.parametrize(
    ("archive", "words"),
    [
        (b"no zip", "cannot be read"),
        (zipped()[:-10], "cannot be read"),
        (zipped(compressed, **{"mine.py": bytes(1 << 20)}), "compressed"),
        (zipped(link), "a link"),
        (zipped(executable), "a link, a folder, or no plain file"),
        (zipped(dated), "not as"),
        (zipped(commented), "not as"),
        (zipped() + b"more", "not as"),
        (b"before" + zipped(), "not as"),
        (zipped(**{"z.py": b"", "a.py": b""}), "not as"),
        (zipped(**{"../a.py": b""}), "no plain path"),
        (zipped(**{f"m{number}.py": b"" for number in range(MOST_FILES + 1)}), "at most"),
        (bytes(9 << 20), "MiB"),
    ],
)
def test_an_archive_that_was_not_made_by_us_is_refused(archive: bytes, words: str) -> None:
    assert unpack(zipped()) == {"mine.py": b"x = 1\n"}
    with pytest.raises(ArchiveError, match=words):
        unpack(archive)


def test_one_file_of_an_archive_is_read_without_growing() -> None:
    assert archive_file(zipped(), "mine.py") == b"x = 1\n"
    assert archive_file(zipped(), "other.py") is None
    bomb = zipped(compressed, **{"mine.py": bytes(1 << 10), "other.bin": bytes(range(256)) * 40})
    for read in (lambda: archive_file(bomb, "mine.py"), lambda: contents(bomb)):
        with pytest.raises(ArchiveError, match=r"mine\.py: it is compressed"):
            read()
    with pytest.raises(ArchiveError, match="cannot be read"):
        contents(zipped()[:-10])


def test_what_was_unpacked_before_is_read_whatever_its_modules_are_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    archive = pack(FILES)
    monkeypatch.setattr(package_archive, "_OURS", top_names(FILES))
    with pytest.raises(ArchiveError, match="rename it"):
        unpack(archive)
    assert contents(archive) == FILES


@pytest.mark.parametrize(
    ("names", "root", "modules"),
    [
        (["mine.py"], "", ["mine"]),
        (["mine/__init__.py", "mine/a.py", "mine/b/c.py"], "", ["mine", "mine.a", "mine.b.c"]),
        (["mine.py", "test_mine.py", "tests/test_a.py", "conftest.py", "setup.py"], "", ["mine"]),
        (["src/mine/__init__.py", "helper.py"], "src", ["mine"]),
        (["src/__init__.py", "src/a.py"], "", ["src", "src.a"]),
        (["my-notes.py", "mine.py", "mine/__main__.py"], "", ["mine"]),
    ],
)
def test_modules_are_found_where_they_are_imported_from(
    names: list[str], root: str, modules: list[str]
) -> None:
    assert module_root(names) == root
    assert modules_of(names) == modules
    assert top_names(names) == {module.partition(".")[0] for module in modules}


@pytest.mark.parametrize(
    ("names", "importable", "left_behind"),
    [
        (
            ["mine.py", "test_mine.py", "conftest.py", "setup.py"],
            {"mine", "test_mine"},
            {"conftest.py", "setup.py"},
        ),
        (["mine.py", "tests/test_a.py", "tests/a.csv", "data/a.csv"], {"mine"}, {"tests/test_a.py"}),
        (["src/mine.py", "src/folder/deep/a.py", "tests/test_a.py", "helper.py"], {"mine", "folder"}, set()),
        (["mine/a.py", "mine/tests/test_a.py", "my-notes.py"], {"mine"}, set()),
    ],
)
def test_what_an_import_can_find_is_all_that_is_there_where_a_package_runs(
    names: list[str], importable: set[str], left_behind: set[str]
) -> None:
    assert importable_names(names) == importable
    assert never_run(names) == left_behind
