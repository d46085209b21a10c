"""Style sheets, scripts and fonts: held in memory, under a path that changes with their content.

All files share one hash, so that modules importing each other relatively get matching versions.
"""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from fastapi import APIRouter, Request, Response

from kit.errors import NotFound

_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "png": "image/png",
    "ico": "image/x-icon",
    "woff2": "font/woff2",
    "txt": "text/plain; charset=utf-8",
    "json": "application/json",
    "webmanifest": "application/manifest+json",
}
_SMALL = 500
_FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class _File:
    media_type: str
    content: bytes
    packed: bytes | None
    etag: str


@dataclass(frozen=True)
class _Shelf:
    version: str
    files: dict[str, _File]


@cache
def _shelf() -> _Shelf:
    found: dict[str, _File] = {}
    _gather(files("services.portal").joinpath("static"), "", found)
    whole = hashlib.sha256()
    for path in sorted(found):
        whole.update(f"{path} {found[path].etag}\n".encode())
    return _Shelf(whole.hexdigest()[:12], found)


def _gather(folder: Traversable, prefix: str, found: dict[str, _File]) -> None:
    for item in folder.iterdir():
        if item.is_dir():
            _gather(item, f"{prefix}{item.name}/", found)
            continue
        media_type = _TYPES.get(item.name.rpartition(".")[2])
        if media_type is None:
            continue
        content = item.read_bytes()
        shrinks = len(content) > _SMALL and media_type.partition("/")[0] in {"text", "application"}
        packed = gzip.compress(content, 9, mtime=0) if shrinks else None
        etag = f'"{hashlib.sha256(content).hexdigest()[:20]}"'
        found[f"{prefix}{item.name}"] = _File(media_type, content, packed, etag)


def static_url(path: str) -> str:
    """The address of a file under static/. Raises KeyError for one that is not there."""
    shelf = _shelf()
    shelf.files[path]
    return f"/static/{shelf.version}/{path}"


def routes() -> APIRouter:
    router = APIRouter(tags=["pages"], include_in_schema=False)

    @router.get("/static/{version}/{path:path}")
    async def static(request: Request, version: str, path: str) -> Response:
        """Kept by browsers for ever under the current version, checked each time under any other."""
        shelf = _shelf()
        file = shelf.files.get(path)
        if file is None:
            raise NotFound("no-file", "There is nothing at this address.")
        current = version == shelf.version
        headers = {
            "etag": file.etag,
            "vary": "Accept-Encoding",
            "cache-control": _FOREVER if current else "public, no-cache",
        }
        if request.headers.get("if-none-match") == file.etag:
            return Response(status_code=304, headers=headers)
        if file.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            headers["content-encoding"] = "gzip"
            return Response(file.packed, media_type=file.media_type, headers=headers)
        return Response(file.content, media_type=file.media_type, headers=headers)

    @router.get("/favicon.ico")
    async def favicon(request: Request) -> Response:
        return await static(request, "-", "icon.svg")

    return router
