"""make screenshots: every page against a demo hospital, wide and on a phone, into docs/images/.

Small PNGs with a palette; the pages of docs/pages.md. Needs chromium; nothing is fetched from elsewhere.
"""

import argparse
import io
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from PIL import Image
from playwright.sync_api import Browser, Page

from services.portal.pages.frame import LANGUAGE_COOKIE
from tests.e2e.browsing import as_person, chromium
from tests.e2e.staging import House, furnish

IMAGES = Path(__file__).parents[1] / "docs" / "images"
WIDTHS = {"wide": (1440, 900), "phone": (390, 844)}
_LARGEST = 200_000


@dataclass(frozen=True)
class Shot:
    """A page to take, and as whom. `{Name}` in the path is a study's id."""

    name: str
    who: str
    path: str
    scheme: str = "light"
    language: str = "en-GB"


SHOTS = (
    Shot("login", "", "/login"),
    Shot("register", "", "/register"),
    Shot("reset", "", "/reset"),
    Shot("upload-link", "", "{link}"),
    Shot("share-link", "", "{door}"),
    Shot("error", "kowalski", "/studies/none"),
    Shot("inbox", "kowalski", "/"),
    Shot("inbox-dark", "kowalski", "/", "dark"),
    Shot("inbox-german", "kowalski", "/", language="de-AT"),
    Shot("study", "kowalski", "/studies/{Morgan}"),
    Shot("study-dark", "kowalski", "/studies/{Morgan}", "dark"),
    Shot("study-german", "kowalski", "/studies/{Morgan}", language="de-AT"),
    Shot("study-physician", "okafor", "/studies/{Ødegård}"),
    Shot("study-sender", "northside", "/studies/{Tanaka}"),
    Shot("share", "kowalski", "/studies/{Morgan}/share"),
    Shot("send", "northside", "/send"),
    Shot("sent", "northside", "/submissions"),
    Shot("tracking", "northside", "/s/{submission}"),
    Shot("tracking-german", "northside", "/s/{submission}", language="de-AT"),
    Shot("receipt", "northside", "/s/{submission}/receipt"),
    Shot("requests", "okafor", "/requests"),
    Shot("account", "kowalski", "/account"),
    Shot("admin", "chief", "/admin"),
    Shot("admin-accounts", "chief", "/admin/accounts"),
    Shot("admin-invite", "chief", "/admin/accounts/invite"),
    Shot("admin-group", "chief", "/admin/groups/{group}"),
    Shot("admin-groups", "chief", "/admin/groups"),
    Shot("admin-requests", "chief", "/admin/requests"),
    Shot("admin-policies", "chief", "/admin/policies"),
    Shot("admin-feed", "chief", "/admin/feed"),
    Shot("admin-queues", "chief", "/admin/queues"),
    Shot("admin-storage", "chief", "/admin/storage"),
    Shot("admin-destinations", "chief", "/admin/destinations"),
    Shot("admin-audit", "chief", "/admin/audit"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", help="names of shots; all without")
    only = parser.parse_args().only
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        house = House(Path(folder))
        house.open()
        try:
            house.destination("main-pacs", "ORTHANC", 4242)
            places = {"submission": furnish(house, Path(folder) / "files")}
            places |= {name: house.study(name)["id"] for name in ("Morgan", "Ødegård", "Tanaka", "Novak")}
            places |= _administered(house)
            with chromium() as browser:
                places["door"] = _shared(browser, house, places["Tanaka"])
                for shot in SHOTS:
                    if not only or shot.name in only:
                        _take(browser, house, shot, places)
        finally:
            house.close()


def _administered(house: House) -> dict[str, str]:
    """A group, how long images are kept, and a link by which images were asked for."""
    with house.api("chief") as api:
        group = api.post(
            "/api/groups", {"name": "File room", "roles": ["approve"], "departments": ["Archive"]}
        )
        api.put("/api/retention", {"in_pacs_days": 90, "declined_days": 30})
    with house.api("okafor") as api:
        link = api.post("/api/upload-links", {"label": "Dr. Petrov"})
    return {"group": group["id"], "link": urlsplit(link["url"]).path}


def _shared(browser: Browser, house: House, study: str) -> str:
    """The path of a link to that study."""
    context = as_person(browser, house, "kowalski")
    page = context.new_page()
    page.goto(f"{house.url}/studies/{study}/share")
    page.get_by_label("Whom it is for").fill("Dr. Outside")
    page.get_by_role("button", name="Make the link").click()
    path = urlsplit(page.locator("#link").inner_text()).path
    context.close()
    return path


def _take(browser: Browser, house: House, shot: Shot, places: dict[str, str]) -> None:
    for size, (width, height) in WIDTHS.items():
        context = as_person(
            browser,
            house,
            shot.who,
            viewport={"width": width, "height": height},
            color_scheme=shot.scheme,
            locale=shot.language,
            timezone_id="Europe/Vienna",
        )
        if shot.language.startswith("de"):
            chosen = {"name": LANGUAGE_COOKIE, "value": "de", "url": house.url}
            context.add_cookies([chosen])  # type: ignore[list-item]
        page = context.new_page()
        page.goto(house.url + shot.path.format(**places))
        _settled(page)
        _save(page.screenshot(), IMAGES / f"{shot.name}-{size}.png")
        context.close()


def _settled(page: Page) -> None:
    """Until the quick look shows its image and every picture is there."""
    if page.locator("#look").count():
        page.wait_for_selector('#look[data-state="ready"], #look[data-state="failed"]')
    page.wait_for_function("[...document.images].every((i) => i.complete || i.loading === 'lazy')")
    page.wait_for_timeout(400)


def _save(png: bytes, path: Path) -> None:
    """With fewer colours until it is small enough."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    for colours in (256, 128, 64, 32):
        small = io.BytesIO()
        picture.quantize(colours, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(
            small, "PNG", optimize=True
        )
        if small.tell() <= _LARGEST:
            break
    path.write_bytes(small.getvalue())


if __name__ == "__main__":
    main()
