"""A person's browser finds the way in by her organisation's address, and the next time by what it remembers."""

import pytest
from playwright.sync_api import Page, expect

from .pair import Pair, give_password

pytestmark = [pytest.mark.journey, pytest.mark.slow]

WANTED = "/me/?from=a-link"
ASKED = "?next=%2Fme%2F%3Ffrom%3Da-link"


def test_what_led_in_once_is_offered_first_until_it_is_forgotten(pair: Pair, page: Page) -> None:
    ada, name = pair.hire("Ada"), pair.connection.name
    page.goto(f"{pair.hub}/login/{ASKED}")
    expect(page.get_by_role("link", name="Continue with")).to_have_count(0)
    page.goto(f"{pair.hub}/login/{pair.connection.tenant.slug}/{ASKED}")
    give_password(page, ada)
    expect(page).to_have_url(f"{pair.hub}{WANTED}")

    kept = {cookie["name"]: cookie for cookie in page.context.cookies(f"{pair.hub}/login/")}["hub_choice"]
    assert (kept["path"], kept["httpOnly"], kept["secure"], kept["sameSite"]) == (
        "/login/",
        True,
        True,
        "Lax",
    )
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You are signed out")

    page.goto(f"{pair.hub}/login/{ASKED}")
    expect(page.get_by_label("E-mail")).to_be_visible()
    way = page.get_by_role("link", name=f"Continue with {name}")
    expect(way).to_be_focused()
    way.press("Enter")
    give_password(page, ada)
    expect(page).to_have_url(f"{pair.hub}{WANTED}")

    page.get_by_role("button", name="Sign out").click()
    page.goto(f"{pair.hub}/login/{ASKED}")
    page.get_by_role("button", name="Forget this on this device").click()
    expect(page).to_have_url(f"{pair.hub}/login/{ASKED}")
    expect(page.get_by_role("link", name="Continue with")).to_have_count(0)
    expect(page.get_by_label("E-mail")).to_be_focused()


def test_all_other_sessions_end_by_one_button(pair: Pair, page: Page) -> None:
    ada = pair.hire("Ada")
    browser = page.context.browser
    assert browser is not None
    elsewhere = browser.new_context(ignore_https_errors=True).new_page()
    for one in (elsewhere, page):
        one.goto(pair.start(WANTED))
        give_password(one, ada)
        expect(one).to_have_url(f"{pair.hub}{WANTED}")
    page.get_by_role("button", name="End all other sessions").click()
    expect(page.get_by_text("This device")).to_be_visible()
    expect(page.get_by_role("button", name="End all other sessions")).to_have_count(0)
    elsewhere.goto(f"{pair.hub}/me/")
    expect(elsewhere.get_by_label("E-mail")).to_be_visible()
    elsewhere.context.close()
