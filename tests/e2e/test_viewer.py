"""OHIF in a real browser on a running Anteroom."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from anteroom.client.files import select
from anteroom.client.submission import Wishes, send
from services.view.viewer import OHIF
from tests.e2e.server import Server

FLAGS = ["--no-sandbox", "--disable-quic", "--use-gl=angle", "--use-angle=swiftshader"]
FLAGS += ["--enable-unsafe-swiftshader", "--disable-background-networking"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (OHIF / "index.html").exists(), reason="the viewer is not prepared (make viewer)"),
    pytest.mark.skipif(not Path("/usr/bin/chromium").exists(), reason="there is no Chromium"),
]


class _Quiet:
    def sent(self, size: int) -> None: ...

    def files_done(self, count: int) -> None: ...

    def waiting(self, reason: str) -> None: ...


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    running = Server(tmp_path)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def page(server: Server) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        context = browser.new_context(extra_http_headers={"authorization": f"Bearer {server.token}"})
        yield context.new_page()
        browser.close()


def test_a_series_is_shown(server: Server, page: Page, shared_data: Path) -> None:
    """The middle image appears, thumbnails too, and no address holds the patient's ID."""
    with server.api() as api:
        send(api, select([shared_data / "dcm4che"]), Wishes(), _Quiet())
        deadline = 60_000
        while not (rows := api.get("/dicomweb/studies?StudyInstanceUID=1.113654.3.13.1026")):
            page.wait_for_timeout(200)
            deadline -= 200
            assert deadline > 0, "the study did not arrive"
    study_id = rows[0]["00081190"]["Value"][0].partition("/study/")[2].partition("/")[0]
    patient = rows[0]["00100020"]["Value"][0]
    asked: list[str] = []
    wrong: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("response", lambda answer: wrong.append(answer.url) if answer.status >= 400 else None)
    page.on("console", lambda said: wrong.append(said.text) if "Content Security" in said.text else None)
    page.add_init_script(
        "document.addEventListener('CORNERSTONE_IMAGE_RENDERED',"
        " () => { document.documentElement.dataset.shown = 'yes'; }, true)"
    )
    page.goto(f"{server.url}/viewer/viewer?StudyInstanceUIDs=1.113654.3.13.1026&root=study/{study_id}")
    page.wait_for_selector("html[data-shown]", timeout=120_000)
    page.wait_for_selector("img[src^=data], img[src^=blob]", timeout=60_000)
    assert wrong == []
    assert all(url.startswith((server.url, "blob:", "data:")) for url in asked)
    assert not any(patient in url for url in asked)
    assert any(f"/dicomweb/study/{study_id}/" in url and "/frames/" in url for url in asked)
