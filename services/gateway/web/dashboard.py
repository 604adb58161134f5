"""The dashboard: static files that were built beforehand, read once and served from memory to everybody; what they show needs rights."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

from aiohttp import web

_TYPES: Final[Mapping[str, str]] = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types svelte-trusted-html"
)
"""No text that the page shows, whoever wrote it, can become a script; and it talks to nobody but us."""
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_INDEX: Final = "index.html"
_NOT_BUILT: Final = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>Flotilla</title><h1>The dashboard is not built</h1>'
    "<p>In a checkout, <code>make web</code> builds it; it needs npm's registry. Then start the gateway again.</p>"
    '<p>The API is here all the same: <a href="/docs">/docs</a>.</p></html>'
)


@dataclass(frozen=True, kw_only=True)
class File:
    """One file as it goes out; `packed` is the same with gzip, where that was made."""

    body: bytes
    packed: bytes | None
    media: str
    keep: str


class Dashboard:
    """The files, by the path below `/`; none when it was not built."""

    def __init__(self, found: Mapping[str, File]) -> None:
        self._found = found

    @classmethod
    def built(cls) -> "Dashboard":
        """What stands beside the gateway's own modules."""
        return cls.read(Path(str(files("flotilla.services.gateway"))) / "dashboard")

    @classmethod
    def read(cls, folder: Path) -> "Dashboard":
        """The files of a folder. Raises OSError for one that cannot be read."""
        return cls({path.relative_to(folder).as_posix(): _file(path) for path in _of_pages(folder)})

    def add_to(self, app: web.Application) -> None:
        """Serves the page at `/`, and what it loads; they are no part of the API, so its table of routes has none of them."""
        app.router.add_get("/", self._page, name="dashboard")
        app.router.add_get("/favicon.svg", self._asset, name="dashboard_icon")
        app.router.add_get("/assets/{name}", self._asset, name="dashboard_asset")

    async def _page(self, request: web.Request) -> web.Response:
        page = self._found.get(_INDEX)
        if page is None:
            return web.Response(status=503, text=_NOT_BUILT, content_type="text/html")
        return _response(request, page)

    async def _asset(self, request: web.Request) -> web.Response:
        found = self._found.get(request.path.removeprefix("/"))
        if found is None:
            raise web.HTTPNotFound
        return _response(request, found)


def _of_pages(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.suffix in _TYPES and path.is_file()]


def _file(path: Path) -> File:
    packed = path.with_name(f"{path.name}.gz")
    is_hashed = path.parent.name == "assets"  # its name changes with its content
    return File(
        body=path.read_bytes(),
        packed=packed.read_bytes() if packed.is_file() else None,
        media=_TYPES[path.suffix],
        keep=_FOR_EVER if is_hashed else "no-cache",
    )


def _response(request: web.Request, file: File) -> web.Response:
    headers = {"Cache-Control": file.keep, "Content-Security-Policy": POLICY, "Vary": "Accept-Encoding"}
    body = file.body
    if file.packed is not None and "gzip" in request.headers.get("Accept-Encoding", ""):
        body = file.packed
        headers["Content-Encoding"] = "gzip"
    return web.Response(body=body, content_type=file.media, charset="utf-8", headers=headers)
