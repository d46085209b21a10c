"""OHIF's files and page."""

from pathlib import Path

import httpx
import pytest

from kit.service import Kit
from services.view import viewer
from tests.component.view.samples import arrive, ct, pack, study


@pytest.fixture
def ohif(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "ohif"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>OHIF</title>")
    (folder / "app.bundle.0123.js").write_text("'plain'")
    (folder / "app.bundle.0123.js.br").write_bytes(b"packed by brotli")
    (folder / "app.bundle.0123.js.gz").write_bytes(b"packed by gzip")
    (folder / "stamp").write_text("x")
    (tmp_path / "secret").write_text("not for anybody")
    monkeypatch.setattr(viewer, "OHIF", folder)
    return folder


async def test_the_page_is_for_those_who_are_known(
    ohif: Path, kit_env: Kit, client: httpx.AsyncClient
) -> None:
    await arrive(kit_env, study([pack(kit_env, "p1", [ct(1)])]))
    page = await client.get("/viewer/viewer?StudyInstanceUIDs=1.2.3.4&root=study/st1")
    assert "<title>OHIF" in page.text
    assert "script-src 'self' 'wasm-unsafe-eval'" in page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    stranger = await client.get("/viewer/viewer?a=b", headers={"authorization": ""})
    assert stranger.status_code == 303
    assert stranger.headers["location"] == "/login?next=%2Fviewer%2Fviewer%3Fa%3Db"
    bare = await client.get("/viewer?x=1")
    assert (bare.status_code, bare.headers["location"]) == (308, "/viewer/?x=1")


@pytest.mark.parametrize(
    "asked", ["1.2.3.4&root=study/st9", "1.2.3.5&root=study/st1", "1.2.3.4&root=nothing/st1", "9.9"]
)
async def test_a_link_to_what_is_not_there_leads_to_a_page(
    ohif: Path, kit_env: Kit, client: httpx.AsyncClient, asked: str
) -> None:
    """Also in a process that has no pages of its own."""
    await arrive(kit_env, study([pack(kit_env, "p1", [ct(1)])]))
    page = await client.get(
        f"/viewer/viewer?StudyInstanceUIDs={asked}", headers={"sec-fetch-mode": "navigate"}
    )
    assert page.status_code == 404
    assert page.headers["content-type"].startswith("text/html")
    assert "<p>There is no such study here, or it is not yours to see.</p>" in page.text
    by_program = await client.get(f"/viewer/viewer?StudyInstanceUIDs={asked}")
    assert by_program.json()["code"] == "no-study"


async def test_files_are_packed_and_kept(ohif: Path, client: httpx.AsyncClient) -> None:
    for accepted, encoding, content in (
        ("gzip, br", "br", b"packed by brotli"),
        ("gzip", "gzip", b"packed by gzip"),
        ("identity", None, b"'plain'"),
    ):
        headers = {"accept-encoding": accepted}
        async with client.stream("GET", "/viewer/app.bundle.0123.js", headers=headers) as answer:
            raw = b"".join([block async for block in answer.aiter_raw()])
        assert (answer.headers.get("content-encoding"), raw) == (encoding, content)
        assert "immutable" in answer.headers["cache-control"]
    etag = answer.headers["etag"]
    again = await client.get("/viewer/app.bundle.0123.js", headers={"if-none-match": etag})
    assert again.status_code == 304
    settings = await client.get("/viewer/app-config.js")
    assert settings.headers["cache-control"] == "no-cache"
    assert "window.config" in settings.text


@pytest.mark.parametrize(
    "path",
    ["../secret", "%2e%2e/secret", "assets/../../secret", "stamp.js", "app.bundle.9.js", "/etc/passwd.js"],
)
async def test_nothing_else_is_served(ohif: Path, client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(f"/viewer/{path}")
    assert "not for anybody" not in answer.text
    assert "root:" not in answer.text


async def test_without_the_viewer_the_page_says_so(
    client: httpx.AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewer, "OHIF", tmp_path / "nowhere")
    answer = await client.get("/viewer/viewer")
    assert answer.status_code == 503
    assert "not installed" in answer.text
