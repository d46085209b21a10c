"""OHIF under /viewer/: prepared files, packed beforehand, with a content policy of their own.

Its code is public; its page is for those who are signed in, or came by a share link, and for studies that
are there and theirs to see. Where it was not prepared (`make viewer`), the page says so.
"""

import asyncio
import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, RedirectResponse

from kit.errors import Unauthorized
from kit.identity import Principal
from kit.service import principal
from services.view.library import Library
from services.view.rules.ranges import unchanged
from services.view.scopes import within

OHIF = Path(__file__).parent / "ohif"
CONFIG = Path(__file__).parent / "config"
_POLICY = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self' data: blob:; media-src 'self' blob:; object-src 'self' blob:; "
    "frame-src 'self' blob:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_MOST_STUDIES = 20
_YEAR = "public, max-age=31536000, immutable"
_TYPES = {".wasm": "application/wasm", ".js": "text/javascript", ".woff2": "font/woff2"}
_ABSENT = b"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Viewer</title>
<link rel="stylesheet" href="/static/anteroom.css"><main class="page"><h1>The viewer is not installed</h1>
<p>Series can still be looked at on the study's own page. Whoever runs this server can install the viewer
with <code>make viewer</code> (it needs npm once).</p>
<p><a href="/">Back to the studies</a></p></main></html>"""


@dataclass(frozen=True)
class Asset:
    path: Path
    media: str
    etag: str
    lasting: bool
    packed: frozenset[str]


def routes(library: Library) -> APIRouter:
    router = APIRouter(tags=["viewer"], include_in_schema=False)
    assets: dict[str, Asset] = {}

    @router.get("/viewer")
    async def bare(request: Request) -> Response:
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"/viewer/{query}", status_code=308)

    @router.get("/viewer/{path:path}")
    async def viewer(path: str, request: Request) -> Response:
        if not assets:
            assets.update(await asyncio.to_thread(found_assets, OHIF, CONFIG))
        asset = assets.get(path)
        if asset is not None and path != "index.html":
            return answer(request.headers, asset)
        if "." in path.rpartition("/")[2] and not path.startswith("viewer"):
            return Response("There is nothing at this address.", 404, media_type="text/plain")
        who = await _known(request)
        if who is None:
            here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(f"/login?next={quote(here, safe='')}", status_code=303)
        asked = request.query_params
        for uid in filter(None, asked.get("StudyInstanceUIDs", "").split(",")[:_MOST_STUDIES]):
            await library.studies(within(who, asked.get("root", "")), uid)
        page = assets.get("index.html")
        if page is None:
            return Response(_ABSENT, 503, media_type="text/html")
        return answer(request.headers, page)

    return router


async def _known(request: Request) -> Principal | None:
    try:
        return await principal(request)
    except Unauthorized:
        return None


def found_assets(*folders: Path) -> dict[str, Asset]:
    """Every file by its place below /viewer/; what is not among them is never opened."""
    found: dict[str, Asset] = {}
    for folder in folders:
        for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
            if not path.is_file() or path.suffix in (".gz", ".br") or path.name == "stamp":
                continue
            name = path.relative_to(folder).as_posix()
            content = path.read_bytes()
            found[name] = Asset(
                path=path,
                media=_TYPES.get(path.suffix)
                or mimetypes.guess_type(path.name)[0]
                or "application/octet-stream",
                etag=f'"{hashlib.sha256(content).hexdigest()[:32]}"',
                lasting=".bundle." in path.name or path.suffix in (".wasm", ".woff2"),
                packed=frozenset(
                    name
                    for name, ending in (("br", ".br"), ("gzip", ".gz"))
                    if path.with_name(path.name + ending).exists()
                ),
            )
    return found


def answer(headers: Mapping[str, str], asset: Asset) -> Response:
    """The file, as small as the caller takes it. Scripts with a hash in their name last for ever.
    A worker's policy is that of its script, so each file brings it along."""
    sent = {
        "content-security-policy": _POLICY,
        "etag": asset.etag,
        "cache-control": _YEAR if asset.lasting else "no-cache",
        "vary": "accept-encoding",
    }
    if unchanged(headers, asset.etag):
        return Response(status_code=304, headers=sent)
    path = asset.path
    taken = headers.get("accept-encoding", "")
    for name, ending in (("br", ".br"), ("gzip", ".gz")):
        if name in asset.packed and name in taken:
            path = path.with_name(path.name + ending)
            sent["content-encoding"] = name
            break
    return FileResponse(path, headers=sent, media_type=asset.media)
