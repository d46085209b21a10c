"""1 GB of CT images through the send page in Chromium, beside Orthanc's own web upload (its explorer)."""

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
from playwright.sync_api import Browser, Page, sync_playwright

from anteroom.demo.orthanc import Orthanc
from bench.images import Series, make_series
from bench.result import Result
from bench.servers import Anteroom, anteroom, orthanc, versions

IMAGES = 2000
RUNS = 3
_WAIT_MS = 900_000
_PASSWORD = "violet harbour lantern"
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def run() -> Iterator[Result]:
    speed = Result("portal-upload", "MB/s", "higher", target=5, notes=dict(versions()))
    memory = Result("portal-upload-memory", "MB", "lower", notes={"what": "browser, above its start"})
    with tempfile.TemporaryDirectory(prefix="bench-") as name, sync_playwright() as playwright:
        root = Path(name)
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=_FLAGS)
        with anteroom(root / "ours") as ours, orthanc(root / "peer") as peer:
            state = _sign_in(ours, browser)
            _send(ours, browser, state, _series(root, 50))
            for _ in range(RUNS):
                series = _series(root, IMAGES)
                megabytes = sum(path.stat().st_size for path in series.files) / 1e6
                theirs = _explorer(peer, browser, series)
                mine, own_peak = _send(ours, browser, state, series)
                speed.runs.append({"ours": megabytes / mine, "peer": megabytes / theirs[0]})
                memory.runs.append({"ours": own_peak, "peer": theirs[1]})
        browser.close()
    yield speed
    yield memory


def _series(root: Path, images: int) -> Series:
    shutil.rmtree(root / "series", ignore_errors=True)
    return make_series(root / "series", images)


def _sign_in(server: Anteroom, browser: Browser) -> Path:
    """The first administrator; returns the file that holds the session."""
    link = server.data / "welcome.link"
    while not link.exists():
        time.sleep(0.05)
    page = browser.new_page()
    page.goto(link.read_text().strip())
    page.fill("input[name=name]", "Ida Bench")
    page.fill("input[name=email]", "ida@bench.example")
    page.fill("input[name=password]", _PASSWORD)
    page.click("main button.go")
    page.wait_for_selector("nav", timeout=60_000)
    state = server.data.parent / "session.json"
    page.context.storage_state(path=state)
    page.close()
    return state


def _send(server: Anteroom, browser: Browser, state: Path, series: Series) -> tuple[float, float]:
    """From pressing send until everything is durable. Reading the headers comes before it."""
    context = browser.new_context(storage_state=state)
    page = context.new_page()
    page.goto(f"{server.url}/send")
    with _memory() as peak:
        page.set_input_files("#choose-folder", str(series.files[0].parent))
        page.wait_for_selector("#send form button.big:enabled", timeout=_WAIT_MS)
        start = time.monotonic()
        page.click("#send form button.big")
        page.wait_for_url("**/s/*", timeout=_WAIT_MS)
        seconds = time.monotonic() - start
    context.close()
    return seconds, peak()


def _explorer(pacs: Orthanc, browser: Browser, series: Series) -> tuple[float, float]:
    """From pressing its start button until it has stored every image."""
    address = f"http://{pacs.host}:{pacs.http_port}"
    before = _count(address)
    page: Page = browser.new_page()
    page.goto(f"{address}/app/explorer.html#upload")
    with _memory() as peak:
        page.set_input_files("#fileupload", [str(path) for path in series.files])
        start = time.monotonic()
        page.click("#upload-button")
        while _count(address) - before < len(series.files):
            time.sleep(0.05)
            if time.monotonic() - start > _WAIT_MS / 1000:
                raise TimeoutError("the explorer did not upload everything")
        seconds = time.monotonic() - start
    page.close()
    return seconds, peak()


def _count(address: str) -> int:
    return int(httpx.get(f"{address}/statistics", trust_env=False).json()["CountInstances"])


@contextmanager
def _memory() -> Iterator[Callable[[], float]]:
    """The most that all of Chromium's processes took, in MB above what they took at the start."""
    ended = threading.Event()
    base = peak = _chromium_mb()

    def watch() -> None:
        nonlocal peak
        while not ended.wait(0.25):
            peak = max(peak, _chromium_mb())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield lambda: peak - base
    finally:
        ended.set()
        watcher.join()


def _chromium_mb() -> float:
    total = 0
    for process in psutil.Process().children(recursive=True):
        try:
            if "chrom" in process.name():
                total += process.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return total / 1e6
