"""Wheels of the tests' own, made from names and texts; and an index on loopback that has them."""

import base64
import hashlib
import threading
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
from packaging.tags import sys_tags


def wheel(
    name: str,
    version: str = "1.0",
    files: Mapping[str, str | bytes] | None = None,
    *,
    requires: Sequence[str] = (),
    tag: str = "py3-none-any",
    metadata: str = "",
    record: Mapping[str, str] | None = None,
    more: Mapping[str, str | bytes] | None = None,
) -> tuple[str, bytes]:
    """File name and content. `metadata` replaces that of name and version, `record` hashes by path, `more` is not in the RECORD."""
    stem = f"{name.replace('-', '_')}-{version}"
    said = metadata or f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    content: dict[str, str | bytes] = {
        **(files if files is not None else {f"{name.replace('-', '_')}.py": f"VERSION = {version!r}\n"}),
        f"{stem}.dist-info/METADATA": said + "".join(f"Requires-Dist: {each}\n" for each in requires),
        f"{stem}.dist-info/WHEEL": f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    hashes = {path: digest(text) for path, text in content.items()} | dict(record or {})
    rows = "".join(f"{path},sha256={value},\n" for path, value in hashes.items())
    content[f"{stem}.dist-info/RECORD"] = f"{rows}{stem}.dist-info/RECORD,,\n"
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        for path, text in {**content, **(more or {})}.items():
            made.writestr(zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0)), text, zipfile.ZIP_DEFLATED)
    return f"{stem}-{tag}.whl", buffer.getvalue()


def native_wheel(name: str, version: str = "1.0") -> tuple[str, bytes]:
    """A wheel for this Python and platform alone: a package that loads a compiled module, which is one of msgspec's by another place."""
    module = name.replace("-", "_")
    core = Path(msgspec._core.__file__)
    files: dict[str, str | bytes] = {
        f"{module}/__init__.py": f"from {module}._core import Meta\nVERSION = {version!r}\nassert Meta(ge=1).ge == 1\n",
        f"{module}/{core.name}": core.read_bytes(),
    }
    return wheel(name, version, files, tag=str(next(sys_tags())))


def digest(text: str | bytes) -> str:
    """The SHA-256 as a RECORD writes it."""
    data = text.encode() if isinstance(text, str) else text
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def put(folder: Path, *wheels: tuple[str, bytes]) -> Path:
    """The folder with the wheels in it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in wheels:
        (folder / name).write_bytes(data)
    return folder


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def index(folder: Path, *wheels: tuple[str, bytes]) -> Iterator[str]:
    """The address of an index with these wheels (PEP 503), while it lasts."""
    for name, data in wheels:
        put(folder / name.partition("-")[0].replace("_", "-").lower(), (name, data))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
