"""What an open page of a study asks for after its images left: no viewer, no quick look, and why."""

import pytest

from kit.identity import Role
from services.portal.models import CASES, Gone
from tests.component.portal.conftest import House
from tests.unit.portal.samples import NOW, case


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"gone": Gone(time=NOW, rule="in-pacs", bytes=5)}, "They are in the PACS"),
        ({"gone": Gone(time=NOW, rule="declined", bytes=5)}, "The study was declined."),
        ({"leaving": NOW}, "The images are being removed"),
        ({}, ""),
    ],
)
async def test_the_parts_of_a_page_say_where_the_images_are(
    house: House, fields: dict[str, object], said: str
) -> None:
    made = case().model_copy(update=fields)
    await house.kit.documents.save(CASES, made)
    await house.person("clerk@hospital.example", Role.APPROVE)
    browser = house.browser()
    await browser.sign_in("clerk@hospital.example")
    for path in ("/studies/s1/parts", "/studies/s1"):
        await browser.get(path)
        assert ('id="images" data-gone' in browser.text) == bool(fields)
        assert said in browser.text
        assert ("/quicklook/" in browser.text or "series-now" in browser.text) == (not fields)
        if "gone" in fields:
            assert "/viewer/viewer?" not in browser.text
