"""A 200-slice CT in headless Chromium: quick look and OHIF on Anteroom beside OHIF on Orthanc.

The peer is OHIF as it is published, the same version, served by nginx before Orthanc. Noted beside: the OHIF
that we have prepared reading from Orthanc, which tells what is the preparation's and what the server's.
"""

import json
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, Route, sync_playwright

from bench.cases.http_ingest import until_viewable
from bench.cases.view import store
from bench.images import make_series
from bench.published_ohif import published_ohif
from bench.result import Result
from bench.servers import Anteroom, anteroom, orthanc, versions

IMAGES, RUNS, PAUSE_S = 200, 4, 2.0
WAIT_MS = 120_000
PEER = "OHIF as published, behind nginx, on Orthanc"
FLAGS = (
    *("--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-web-security"),
    *("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
)
WATCH = f"""
performance.setResourceTimingBufferSize(10000);
document.addEventListener('CORNERSTONE_IMAGE_RENDERED', () => {{
  window.firstImage ??= performance.now();
}}, true);
window.wholeSeries = () => {{
  const frames = performance.getEntriesByType('resource').filter(one => one.name.includes('/frames/'));
  const ended = frames.filter(one => one.responseEnd > 0);
  return ended.length >= {IMAGES} ? Math.max(...ended.map(one => one.responseEnd)) : 0;
}};
"""


def run() -> Iterator[Result]:
    quick = Result("quicklook-first-image", "s", "lower", target=0.25, notes=dict(versions()))
    first = Result("viewer-first-image", "s", "lower", target=0.8, notes={"peer": PEER})
    whole = Result("viewer-whole-series", "s", "lower", target=0.8, notes={"peer": PEER})
    same: list[tuple[float, float]] = []
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as name,
        anteroom(Path(name) / "ours") as ours,
        orthanc(Path(name) / "peer", tuned=True) as peer,
        published_ohif(Path(name) / "ohif", peer) as stock,
        sync_playwright() as playwright,
    ):
        series = make_series(Path(name) / "series", IMAGES)
        until_viewable(ours, series)
        store(peer, series)
        study = ours.get(f"/dicomweb/studies?StudyInstanceUID={series.study_uid}").json()[0]
        study_id = study["00081190"]["Value"][0].partition("/study/")[2].partition("/")[0]
        query = f"StudyInstanceUIDs={series.study_uid}"
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=list(FLAGS))
        sides: dict[str, Callable[[], tuple[float, float]]] = {
            "peer": lambda: _ohif(browser, ours, f"{stock}/viewer?{query}", None),
            "own": lambda: _ohif(
                browser, ours, f"{ours.url}/viewer/viewer?{query}&root=study/{study_id}", None
            ),
            "same": lambda: _ohif(
                browser, ours, f"{ours.url}/viewer/viewer?{query}", f"{peer.url}/dicom-web"
            ),
            "quick": lambda: (_quicklook(browser, ours, f"/studies/{study_id}"), 0.0),
        }
        for number in range(RUNS + 1):
            found = {}
            for side in list(sides) if number % 2 else reversed(sides):
                time.sleep(PAUSE_S)
                found[side] = sides[side]()
            if number == 0:
                continue
            quick.runs.append({"ours": found["quick"][0], "peer": found["peer"][0]})
            first.runs.append({"ours": found["own"][0], "peer": found["peer"][0]})
            whole.runs.append({"ours": found["own"][1], "peer": found["peer"][1]})
            same.append(found["same"])
        browser.close()
    for result, place in ((first, 0), (whole, 1)):
        result.notes["our prepared OHIF reading from the peer"] = statistics.median(
            one[place] for one in same
        )
    yield from (quick, first, whole)


def _page(browser: Browser, server: Anteroom) -> Page:
    """A fresh profile: nothing is kept from before."""
    context = browser.new_context(
        viewport={"width": 1440, "height": 900},
        extra_http_headers={"authorization": f"Bearer {server.token}"},
        bypass_csp=True,
    )
    page = context.new_page()
    page.add_init_script(WATCH)
    return page


def _ohif(browser: Browser, server: Anteroom, address: str, root: str | None) -> tuple[float, float]:
    """Seconds from opening the link to the first image, and until the last frame has arrived. `root`: where
    our own OHIF reads from, if not from us."""
    page = _page(browser, server)
    if root is not None:
        config = urllib.request.urlopen(f"{server.url}/viewer/app-config.js").read().decode()
        config = config.replace("const root = ", f"const root = {json.dumps(root)} || ", 1)
        config = config.replace("thumbnailRendering: 'thumbnail'", "thumbnailRendering: 'wadors'", 1)

        def fulfil(route: Route) -> None:
            route.fulfill(body=config, content_type="text/javascript")

        page.route("**/app-config.js", fulfil)
    page.goto(address)
    first = _when(page, "window.firstImage")
    whole = _when(page, "window.wholeSeries()")
    page.context.close()
    return first, whole


def _quicklook(browser: Browser, server: Anteroom, path: str) -> float:
    page = _page(browser, server)
    page.goto(server.url + path)
    seconds = _when(page, "performance.getEntriesByName('quicklook-first-image')[0]?.startTime")
    page.context.close()
    return seconds


def _when(page: Page, expression: str) -> float:
    handle: Any = page.wait_for_function(expression, timeout=WAIT_MS, polling=100)
    return float(handle.json_value()) / 1000
