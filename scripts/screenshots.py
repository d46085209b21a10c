"""make screenshots: every page against a demo hospital, wide and on a phone, into docs/images/.

Small PNGs with a palette; the pages of docs/pages.md. With `--to` every page in whole length into another
folder, also those that the docs leave out, light and dark. Needs chromium; nothing is fetched from elsewhere.
"""

import argparse
import asyncio
import io
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from PIL import Image
from playwright.sync_api import Browser, Page

from anteroom.embedded import open_embedded
from kit.clock import utc_now
from kit.service import Site
from services.portal.models import CASES, Gone
from services.portal.pages.frame import LANGUAGE_COOKIE
from tests.e2e.browsing import as_person, chromium
from tests.e2e.staging import House, furnish

IMAGES = Path(__file__).parents[1] / "docs" / "images"
WIDTHS = {"wide": (1440, 900), "phone": (390, 844)}
_LARGEST = 200_000


def _wrong_password(page: Page) -> None:
    """Until it is locked."""
    for _ in range(7):
        page.get_by_label("Email address").fill("somebody@hospital.example")
        page.get_by_label("Password").fill("not the right one")
        page.get_by_role("button", name="Sign in").click()


def _too_much(page: Page) -> None:
    page.locator("main [name=label]").first.evaluate(
        "(field) => { field.removeAttribute('maxlength'); field.value = 'x'.repeat(3e6); }"
    )
    page.locator("main [name=label]").first.evaluate("(field) => field.form.submit()")
    page.wait_for_selector(".empty, h2")


def _pressed(*keys: str) -> Callable[[Page], None]:
    def press(page: Page) -> None:
        for key in keys:
            page.keyboard.press(key)

    return press


def _pressed_button(name: str) -> Callable[[Page], None]:
    return lambda page: page.get_by_role("button", name=name).click()


@dataclass(frozen=True)
class Shot:
    """A page to take, and as whom. `{Name}` in the path is a study's id. `before`: what is done there first.
    Not `shown`: the docs do without it."""

    name: str
    who: str
    path: str
    scheme: str = "light"
    language: str = "en-GB"
    before: Callable[[Page], None] | None = None
    shown: bool = True


SHOTS = (
    Shot("login", "", "/login"),
    Shot("login-locked", "", "/login", before=_wrong_password),
    Shot("register", "", "/register"),
    Shot("reset", "", "/reset"),
    Shot("welcome", "", "{welcome}"),
    Shot("upload-link", "", "{link}"),
    Shot("share-link", "", "{door}"),
    Shot("share-over", "", "/share/" + "0" * 43),
    Shot("error", "kowalski", "/studies/none"),
    Shot("error-forbidden", "kowalski", "/admin"),
    Shot("error-large", "okafor", "/requests", before=_too_much, shown=False),
    Shot("inbox", "kowalski", "/"),
    Shot("inbox-dark", "kowalski", "/", "dark"),
    Shot("inbox-german", "kowalski", "/", language="de-AT"),
    Shot("inbox-empty", "lindqvist", "/?tab=declined", shown=False),
    Shot("inbox-chosen", "kowalski", "/", before=_pressed("j", "x", "j", "x"), shown=False),
    Shot("study", "kowalski", "/studies/{Morgan}"),
    Shot("study-dark", "kowalski", "/studies/{Morgan}", "dark"),
    Shot("study-german", "kowalski", "/studies/{Morgan}", language="de-AT"),
    Shot("study-gone", "kowalski", "/studies/{Novak}"),
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
    Shot("account-protect", "kowalski", "/account/protect"),
    Shot("admin", "chief", "/admin"),
    Shot("admin-account", "chief", "/admin/accounts/kowalski", shown=False),
    Shot("admin-accounts", "chief", "/admin/accounts"),
    Shot("admin-invite", "chief", "/admin/accounts/invite"),
    Shot("admin-machine", "chief", "/admin/accounts/machine", shown=False),
    Shot("admin-group", "chief", "/admin/groups/{group}"),
    Shot("admin-group-new", "chief", "/admin/groups/new", shown=False),
    Shot("admin-groups", "chief", "/admin/groups"),
    Shot("admin-requests", "chief", "/admin/requests"),
    Shot("admin-policies", "chief", "/admin/policies"),
    Shot("admin-feed", "chief", "/admin/feed"),
    Shot("admin-queues", "chief", "/admin/queues"),
    Shot("admin-storage", "chief", "/admin/storage"),
    Shot("admin-destination", "chief", "/admin/destinations/main-pacs", shown=False),
    Shot("admin-destination-new", "chief", "/admin/destinations-new", shown=False),
    Shot("admin-destinations", "chief", "/admin/destinations"),
    Shot("admin-audit", "chief", "/admin/audit"),
    Shot(
        "admin-audit-checked", "chief", "/admin/audit",
        before=_pressed_button("Check the chain"), shown=False,
    ),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", help="names of shots; all without")
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="all in whole length, into this folder")
    asked = parser.parse_args()
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        house = House(Path(folder))
        house.open()
        try:
            house.destination("main-pacs", "ORTHANC", 4242)
            places = {"submission": furnish(house, Path(folder) / "files")}
            places |= {name: house.study(name)["id"] for name in ("Morgan", "Ødegård", "Tanaka", "Novak")}
            places |= _administered(house)
            house.decide("Novak", action="decline", reason="Not for this hospital.")
            house.server.stop()
            asyncio.run(_let_go(house, places["Novak"]))
            house.server.start()
            with chromium() as browser:
                places["door"] = _shared(browser, house, places["Tanaka"])
                places["welcome"] = _invited(browser, house)
                for shot in SHOTS:
                    if asked.only and shot.name not in asked.only:
                        continue
                    if asked.to is not None:
                        _take_whole(browser, house, shot, places, asked.to)
                    elif shot.shown:
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


def _invited(browser: Browser, house: House) -> str:
    """The path by which somebody who was invited comes in; and somebody asks for an account."""
    context = as_person(browser, house, "chief")
    page = context.new_page()
    page.goto(f"{house.url}/admin/accounts/invite")
    page.get_by_label("Name", exact=True).fill("Dr. Mara Lind")
    page.get_by_label("Email address").fill("mara.lind@hospital.example")
    page.get_by_role("button", name="Send the invitation").click()
    path = urlsplit(page.locator("#link").inner_text()).path
    context.close()
    context = as_person(browser, house, "")
    page = context.new_page()
    page.goto(f"{house.url}/register")
    page.locator("[name=name]").fill("Dr. Ilja Petrov")
    page.locator("[name=email]").fill("petrov@northside.example")
    page.locator("[name=organisation]").fill("Northside Clinic")
    page.locator("main form button.go").click()
    page.wait_for_load_state()
    context.close()
    return path


async def _let_go(house: House, study: str) -> None:
    """Its images are no longer here, as after retention."""
    embedded = open_embedded(house.server.data, Site())
    case = await embedded.kit.documents.get(CASES, study)
    assert case is not None
    case.gone = Gone(time=utc_now() - timedelta(days=2), rule="declined", bytes=case.bytes)
    await embedded.kit.documents.save(CASES, case)
    await embedded.close()


def _take(browser: Browser, house: House, shot: Shot, places: dict[str, str]) -> None:
    for size in WIDTHS:
        png = _picture(browser, house, shot, places, size, shot.scheme, whole=False)
        _save(png, IMAGES / f"{shot.name}-{size}.png")


def _take_whole(browser: Browser, house: House, shot: Shot, places: dict[str, str], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for size in WIDTHS:
        for scheme in ("light", "dark"):
            png = _picture(browser, house, shot, places, size, scheme, whole=True)
            (folder / f"{shot.name}-{size}-{scheme}.png").write_bytes(png)


def _picture(
    browser: Browser, house: House, shot: Shot, places: dict[str, str], size: str, scheme: str, *, whole: bool
) -> bytes:
    width, height = WIDTHS[size]
    context = as_person(
        browser,
        house,
        shot.who,
        viewport={"width": width, "height": height},
        color_scheme=scheme,
        locale=shot.language,
        timezone_id="Europe/Vienna",
    )
    if shot.language.startswith("de"):
        chosen = {"name": LANGUAGE_COOKIE, "value": "de", "url": house.url}
        context.add_cookies([chosen])  # type: ignore[list-item]
    page = context.new_page()
    page.goto(house.url + shot.path.format(**places))
    if shot.before is not None:
        shot.before(page)
    _settled(page)
    png = page.screenshot(full_page=whole)
    context.close()
    return png


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
