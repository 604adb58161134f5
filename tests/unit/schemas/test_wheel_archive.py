"""Wheels read without believing them: what is wrong with one is named with the file in it."""

import io
import stat
import zipfile

import pytest

from flotilla.schemas import wheel_archive
from flotilla.schemas.package import MOST_UNPACKED_BYTES, Wheel
from flotilla.schemas.package_archive import ArchiveError, digest_of, pack
from flotilla.schemas.wheel import (
    MOST_WHEELS,
    WHEELS_FILE,
    too_many_wheels,
    wheels_in,
    wheels_of,
    wheels_text,
)
from flotilla.schemas.wheel_archive import OpenWheel, WheelError, too_many_files
from tests.resident_memory import growth_mib
from tests.wheels import digest, wheel

NATIVE = "cp313-cp313-manylinux_2_17_x86_64"
SOUND = {"fe_a/__init__.py": "", "fe_a/deep/x.py": "x = 1\n", "fe_space/part.py": "", "fe_one.py": ""}


def opened(*arguments: object, **more: object) -> OpenWheel:
    name, data = wheel(*arguments, **more)  # type: ignore[arg-type]
    return OpenWheel(data, name)


def test_a_sound_wheel_says_what_it_is_and_what_it_needs() -> None:
    found = opened("fe-a", "1.2", SOUND, requires=["numpy>=1", "fe-b; extra == 'more'"], tag=NATIVE)
    assert (found.name, str(found.version), {str(tag) for tag in found.tags}) == ("fe-a", "1.2", {NATIVE})
    assert [str(each) for each in found.requires] == ["numpy>=1", 'fe-b; extra == "more"']
    assert dict(found.files()).keys() >= SOUND.keys()
    assert found.as_listed.digest == digest_of(found.data)


def test_scripts_headers_tests_and_bytecode_are_left_out_and_site_data_is_not() -> None:
    files = {
        "fe_a.py": "",
        "tests/__init__.py": "",
        "__pycache__/fe_a.cpython-313.pyc": "",
        "fe_a-1.0.data/scripts/run": "",
        "fe_a-1.0.data/headers/a.h": "",
        "fe_a-1.0.data/platlib/fe_b/__init__.py": "",
    }
    found = opened("fe-a", "1.0", files)
    assert [name for name, _ in found.files() if "dist-info" not in name] == ["fe_a.py", "fe_b/__init__.py"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"files": {"../out.py": ""}}, "'../out.py' is no plain path"),
        ({"files": {"/abs.py": ""}}, "'/abs.py' is no plain path"),
        ({"files": {"a\\b.py": ""}}, "is no plain path"),
        ({"files": {"fe_a.pth": "import os"}}, "fe_a.pth: files .pth"),
        ({"files": {"fe_a-1.0.data/purelib/x.pth": ""}}, "x.pth: files .pth"),
        ({"files": {"json/__init__.py": ""}}, "json: a module of this name is one of Python's own"),
        ({"files": {"nautilus_trader/x.py": ""}}, "nautilus_trader: .* in use by every engine"),
        ({"files": {"flotilla.py": ""}}, "flotilla: .* in use by every engine"),
        ({"files": {"a.py": "", "fe_a-1.0.data/purelib/a.py": ""}}, "a.py is there twice"),
        ({"files": {"a.py": "", "a.py/b.py": ""}}, "a.py is a file, and a folder for a.py/b.py"),
        ({"files": {"a": "", "fe_a-1.0.data/purelib/a/b.py": ""}}, "a is a file, and a folder for a/b.py"),
        ({"record": {"a\rb.py": digest("")}}, "it cannot be read: new-line"),
        (
            {"metadata": "Metadata-Version: 2.1\nName: other\nVersion: 1.0\n"},
            "METADATA says to be of other 1.0",
        ),
        ({"metadata": "Metadata-Version: 2.1\nName: fe-a\nVersion: 2\n"}, "METADATA says to be of fe-a 2"),
        ({"metadata": "\n"}, "METADATA says to be of nothing"),
        ({"requires": ["?"]}, "METADATA: "),
        ({"more": {"stray.py": ""}}, "stray.py: fe_a-1.0.dist-info/RECORD has no SHA-256 of it"),
        ({"record": {"gone.py": digest("")}}, "gone.py: .*RECORD names it, and it is not there"),
        ({"more": {"fe_b-1.0.dist-info/METADATA": ""}}, "it has 2 folders .dist-info"),
    ],
)
def test_what_no_engine_takes_is_refused_with_its_file(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(WheelError, match=rf"^fe_a-1\.0-py3-none-any\.whl: .*{words}"):
        opened("fe-a", "1.0", **arguments)


def test_content_that_its_record_does_not_name_is_found_when_it_is_read() -> None:
    lying = opened("fe-a", "1.0", {"fe_a.py": "x = 1"}, record={"fe_a.py": digest("x = 2")})
    with pytest.raises(WheelError, match=r"fe_a.py: .*RECORD has another SHA-256"):
        lying.require_whole()
    with pytest.raises(WheelError, match=r"fe_a.py: .*RECORD has another SHA-256"):
        dict(lying.files())


def test_a_wheel_that_was_cut_is_none_wherever_it_was() -> None:
    name, data = wheel("fe-a", "1.0", {"fe_a.py": "x = 1\n" * 500})
    for length in (0, 10, len(data) // 2, len(data) - 5):
        with pytest.raises(WheelError, match="it cannot be read"):
            OpenWheel(data[:length], name)


@pytest.mark.parametrize(
    "name", ["fe_a.whl", "fe_a-1.0.tar.gz", "fe_a-x!-py3-none-any.whl", "fe_a-1.0-py3-none.whl"]
)
def test_a_name_that_is_none_of_a_wheel_is_refused(name: str) -> None:
    with pytest.raises(WheelError, match="its name is not that of a wheel"):
        OpenWheel(b"", name)


def test_a_link_is_refused() -> None:
    name, data = wheel("fe-a")
    entry = zipfile.ZipInfo("link.py")
    entry.external_attr = stat.S_IFLNK << 16
    with pytest.raises(WheelError, match=r"link\.py is a link"):
        OpenWheel(with_entry(data, entry), name)


def test_an_entry_that_is_there_twice_is_refused() -> None:
    name, data = wheel("fe-a")
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = with_entry(data, zipfile.ZipInfo("fe_a.py"))
    with pytest.raises(WheelError, match=r"fe_a\.py is there twice"):
        OpenWheel(twice, name)


def with_entry(data: bytes, entry: zipfile.ZipInfo) -> bytes:
    buffer = io.BytesIO(data)
    with zipfile.ZipFile(buffer, "a") as made:
        made.writestr(entry, "/etc/passwd")
    return buffer.getvalue()


def test_a_bomb_is_refused_by_what_it_says_and_by_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    name, data = wheel("fe-a", "1.0", {"big.bin": bytes(600 << 10)})
    sizes = ((MOST_UNPACKED_BYTES // 2, "has more than 128 MiB"), (100 << 20, "there are more than 0 MiB"))
    for size, words in sizes:
        monkeypatch.setattr(
            wheel_archive, "MOST_UNPACKED_BYTES", MOST_UNPACKED_BYTES if size > 128 << 20 else 1
        )
        patched = data.replace((600 << 10).to_bytes(4, "little"), size.to_bytes(4, "little"))
        with pytest.raises(WheelError, match=f"big.bin: .*{words}"):
            OpenWheel(patched, name)
    monkeypatch.undo()
    patched = data.replace((600 << 10).to_bytes(4, "little"), (100).to_bytes(4, "little"))
    with pytest.raises(WheelError, match=r"big.bin cannot be read"):
        OpenWheel(patched, name).require_whole()


@pytest.mark.parametrize("file", ["fe_a.bin", "fe_a-1.0.dist-info/METADATA"])
def test_a_bomb_that_says_to_be_small_is_not_inflated(file: str) -> None:
    size = 64 << 20
    head = "Metadata-Version: 2.1\nName: fe-a\nVersion: 1.0\n\n"
    if file.endswith("METADATA"):
        name, data = wheel("fe-a", metadata=head.ljust(size))
    else:
        name, data = wheel("fe-a", files={file: bytes(size)})
    small = data.replace(size.to_bytes(4, "little"), (100).to_bytes(4, "little"))
    with growth_mib() as grown:
        with pytest.raises(WheelError, match="cannot be read"):
            OpenWheel(small, name).require_whole()
        assert grown() < 32


def test_a_file_that_is_smaller_than_it_says_is_refused() -> None:
    name, data = wheel("fe-a", files={"fe_a.bin": bytes(500)})
    larger = data.replace((500).to_bytes(4, "little"), (9000).to_bytes(4, "little"))
    with pytest.raises(WheelError, match=r"fe_a\.bin cannot be read: .*another size"):
        OpenWheel(larger, name).require_whole()


def listed(number: int = 0, **more: object) -> Wheel:
    plain = {
        "name": f"fe-{number}",
        "version": "1",
        "file": f"fe_{number}-1-py3-none-any.whl",
        "digest": "a" * 64,
    }
    return Wheel(**{"size_bytes": 1, "unpacked_bytes": 1, **plain, **more})  # type: ignore[arg-type]


def test_the_wheels_of_a_package_are_of_its_digest_and_read_back_as_they_were_written() -> None:
    wheels = (listed(1), listed(0))
    files = {"mine.py": b"", WHEELS_FILE: wheels_text(wheels)}
    assert wheels_of(files) == wheels_in(pack(files)) == tuple(sorted(wheels))
    assert wheels_text(wheels[::-1]) == wheels_text(wheels)
    other = {**files, WHEELS_FILE: wheels_text((listed(1), listed(0, digest="b" * 64)))}
    assert digest_of(pack(files)) != digest_of(pack(other))
    assert wheels_in(pack({"mine.py": b""})) == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "truncated"),
        (b"[" * 10_000, WHEELS_FILE),
        (b'{"format":1,"wheels":[]}', "is not as a push writes it"),
        (wheels_text((listed(),)).replace(b'"fe-0"', b'"../x"'), "wheels"),
        (wheels_text((listed(),)).replace(b".whl", b".exe"), "wheels"),
        (wheels_text((listed(),)).replace(b"fe_0-1", b"../fe_0-1"), "wheels"),
    ],
)
def test_a_list_of_wheels_that_no_push_wrote_is_refused(text: bytes, words: str) -> None:
    with pytest.raises(ArchiveError, match=words):
        wheels_of({WHEELS_FILE: text})


def test_too_many_or_too_large_wheels_are_refused_and_the_largest_is_named() -> None:
    with pytest.raises(ArchiveError, match=rf"need {MOST_WHEELS + 1} wheels"):
        wheels_text([listed(number) for number in range(MOST_WHEELS + 1)])
    with pytest.raises(ArchiveError, match="several wheels of fe-0"):
        wheels_text([listed(), listed(digest="b" * 64)])
    large = (listed(0, size_bytes=100 << 20), listed(1, size_bytes=40 << 20))
    with pytest.raises(
        ArchiveError, match=r"140\.0 MiB, and a package has 128 MiB at most; the largest is fe-0 1"
    ):
        wheels_text(large)
    packed = [listed(number, size_bytes=100 << 20) for number in (0, 1)]
    assert too_many_wheels(packed[:1]) is None
    assert "fe-0 1 (100.0 MiB), fe-1 1 (100.0 MiB): more than 128 MiB together" in str(
        too_many_wheels(packed)
    )
    unpacked = [listed(number, unpacked_bytes=300 << 20) for number in (0, 1)]
    assert too_many_wheels(unpacked[:1]) is None
    assert "fe-0 1 (300.0 MiB), fe-1 1 (300.0 MiB): more than 512 MiB unpacked" in str(
        too_many_wheels(unpacked)
    )


def test_too_many_files_of_all_wheels_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    wheels = [opened("fe-a"), opened("fe-b")]
    assert too_many_files(wheels) is None
    monkeypatch.setattr(wheel_archive, "MOST_WHEEL_FILES", 7)
    assert "its wheels have 8 files, and those of a package 7 at most" in str(too_many_files(wheels))
