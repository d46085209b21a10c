"""axe-core finds nothing against WCAG 2.2 AA on any page, light and dark, wide and on a phone."""

import pytest
from playwright.sync_api import Browser

from tests.e2e.browsing import as_person, axe_source, violations
from tests.e2e.staging import House, furnish

pytestmark = pytest.mark.slow

PAGES = (
    ("kowalski", "/"),
    ("kowalski", "/?tab=declined"),
    ("kowalski", "/studies/{Morgan}"),
    ("kowalski", "/studies/{Morgan}/share"),
    ("kowalski", "/studies/none"),
    ("okafor", "/"),
    ("okafor", "/studies/{Morgan}"),
    ("northside", "/"),
    ("northside", "/studies/{Tanaka}"),
    ("northside", "/send"),
    ("northside", "/submissions"),
    ("kowalski", "/account"),
    ("kowalski", "/account/protect"),
    ("kowalski", "/admin"),
    ("chief", "/admin/accounts/kowalski"),
    ("", f"/share/{'0' * 43}"),
    ("chief", "/admin"),
    ("chief", "/admin/accounts"),
    ("chief", "/admin/destinations"),
    ("chief", "/admin/audit"),
    ("chief", "/admin/accounts/invite"),
    ("chief", "/admin/accounts/machine"),
    ("chief", "/admin/destinations-new"),
    ("chief", "/admin/feed"),
    ("chief", "/admin/groups"),
    ("chief", "/admin/groups/new"),
    ("chief", "/admin/policies"),
    ("chief", "/admin/queues"),
    ("chief", "/admin/requests"),
    ("chief", "/admin/storage"),
    ("chief", "/requests"),
    ("", "/login"),
    ("", "/register"),
    ("", "/reset"),
)


@pytest.fixture(scope="module")
def house(house: House) -> House:
    furnish(house, house.folder / "files")
    return house


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 390)])
def test_axe_finds_nothing(house: House, browser: Browser, scheme: str, width: int):
    source = axe_source()
    ids = {name: house.study(name)["id"] for name in ("Morgan", "Tanaka")}
    found: list[str] = []
    for name in dict.fromkeys(name for name, _ in PAGES):
        context = as_person(
            browser, house, name, color_scheme=scheme, viewport={"width": width, "height": 900}
        )
        page = context.new_page()
        for path in [path for who, path in PAGES if who == name]:
            page.goto(house.url + path.format(**ids))
            page.wait_for_timeout(300)
            found += [f"{name} {path} {width}: {line}" for line in violations(page, source)]
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                found.append(f"{name} {path}: wider than {width} px")
        context.close()
    assert not found, "\n".join(found)
