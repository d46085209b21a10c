"""Chromium for the journeys, and axe-core, which looks for what somebody can't use."""

import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.e2e.staging import House
from tests.neighbours.process import binary

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MS = 60_000
AXE = "4.11.0"
_ASK = """async () => {
  const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
  const { violations } = await axe.run(document, { runOnly: tags });
  const line = (rule, node) => `${rule.id}: ${node.target.join(" ")}: ${node.html.slice(0, 160)}`;
  return violations.flatMap((rule) => rule.nodes.map((node) => line(rule, node)));
}"""
_CACHE = Path(__file__).parents[2] / "build" / "axe"


@contextmanager
def chromium() -> Iterator[Browser]:
    path = binary("chromium", "chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


def as_person(browser: Browser, house: House, name: str, **options: Any) -> BrowserContext:
    """A browser of that person; of nobody for an empty name."""
    context = browser.new_context(viewport=options.pop("viewport", {"width": 1280, "height": 900}), **options)
    context.set_default_timeout(PATIENCE_MS)
    if name:
        context.add_cookies([house.cookie(name)])  # type: ignore[list-item]
    return context


@contextmanager
def watched(context: BrowserContext) -> Iterator[Page]:
    """A page; errors of its scripts fail the test once it is done."""
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    assert errors == []


def drop(page: Page, place: str, *paths: Path) -> None:
    """What the browser itself does when somebody drops these from a file manager there."""
    box = page.locator(place).bounding_box()
    assert box is not None
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    session = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        at = {"x": box["x"] + box["width"] / 2, "y": box["y"] + min(100, box["height"] / 2)}
        session.send("Input.dispatchDragEvent", {"type": kind, **at, "data": data})
    session.detach()


def axe_source() -> str:
    """The script, by name from npm, kept below build/. Skips the test where npm is not there."""
    script = _CACHE / AXE / "package" / "axe.min.js"
    if not script.exists():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("npm is needed to fetch axe-core")
        folder = _CACHE / AXE
        folder.mkdir(parents=True, exist_ok=True)
        packed = subprocess.run(
            [npm, "pack", "--silent", f"axe-core@{AXE}"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        with tarfile.open(folder / packed) as archive:
            archive.extract("package/axe.min.js", folder, filter="data")
    return script.read_text("utf-8")


def violations(page: Page, source: str) -> list[str]:
    """What axe finds against WCAG 2.2 A and AA, a line each."""
    page.evaluate(source)
    found = page.evaluate(_ASK)
    return list(found)
