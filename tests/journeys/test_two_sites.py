"""A person's browser between two sites: whatever she does ends where she wanted to go, or where she can start again."""

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest
from django.db.models import F
from playwright.sync_api import Error, Page, Request, Route, expect

from provisioning.models import Identity, Session
from saml_sp.models import ConsumedAssertion, PendingRequest
from saml_sp.sign_in import DOUBLE_CLICK, PENDING_LIFE
from tests.idps.simplesamlphp import Person

from .pair import Pair, give_password
from .sites import HUB_HOST
from .styles import STYLES

pytestmark = [pytest.mark.journey, pytest.mark.slow]

WANTED = "/me/?from=a-link"


def _sign_in(page: Page, pair: Pair, person: Person) -> None:
    page.goto(pair.start(WANTED))
    give_password(page, person)
    expect(page).to_have_url(f"{pair.hub}{WANTED}")


def _can_start_again(page: Page, pair: Pair, person: Person, reason: str) -> None:
    """The calm page of this reason, and that its way on leads to where the person wanted to go."""
    start = page.get_by_role("link", name="Start again")
    expect(start).to_be_visible()
    expect(page.locator("code")).to_have_count(1)
    assert pair.last_reason() == reason
    start.click()
    page.get_by_label("E-mail").fill(person.mail)
    page.get_by_role("button", name="Continue").click()
    expect(page).to_have_url(f"{pair.hub}{WANTED}")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"{person.given_name} {person.family_name}")


@pytest.mark.parametrize("binding", ["redirect", "post"], ids=["asked by redirect", "asked by POST"])
def test_a_login_works_although_its_answer_comes_from_another_site(
    pair: Pair, page: Page, binding: str
) -> None:
    pair.idp.behave(takes=(binding,))
    pair.learn()
    answers: list[Request] = []
    page.on("request", lambda request: answers.append(request) if request.url == pair.acs else None)
    page.goto(pair.start(WANTED))
    if binding == "post":
        page.get_by_role("button", name="Continue").click()
    ada = pair.hire("Ada")
    give_password(page, ada)
    expect(page).to_have_url(f"{pair.hub}{WANTED}")
    expect(page.get_by_role("main")).to_contain_text(ada.mail)

    sent = answers[0].all_headers()
    assert sent["sec-fetch-site"] == "cross-site"
    assert "hub_login=" in sent["cookie"]
    cookies = {cookie["name"]: cookie for cookie in page.context.cookies(pair.acs)}
    kinds = {
        name: (cookies[name]["secure"], cookies[name]["sameSite"]) for name in ("hub_login", "hub_session")
    }
    assert kinds == {"hub_login": (True, "None"), "hub_session": (True, "Lax")}


@pytest.mark.parametrize(("habits", "said"), STYLES.values(), ids=STYLES)
def test_every_style_leads_a_browser_where_it_wanted_to_go(
    pair: Pair, page: Page, habits: dict[str, Any], said: dict[str, Any]
) -> None:
    pair.idp.behave(**habits)
    pair.learn()
    pair.set(**said)
    ada = pair.hire("Ada")
    page.goto(pair.start(WANTED))
    if habits.get("takes") == ("post",):
        page.get_by_role("button", name="Continue").click()
    give_password(page, ada)
    expect(page).to_have_url(f"{pair.hub}{WANTED}")
    expect(page.get_by_role("main")).to_contain_text(ada.mail)


def test_the_idps_key_rolls_over_under_a_browser(pair: Pair, page: Page) -> None:
    ada = pair.hire("Ada")
    steps: tuple[dict[str, str], ...] = (
        {"key": "first", "also_published": "second"},
        {"key": "second", "also_published": "first"},
        {"key": "second", "also_published": ""},
    )
    _sign_in(page, pair, ada)
    for step in steps:
        pair.learn()
        pair.idp.change(**step)
        # Her session there stands, so it answers at once.
        page.context.clear_cookies(domain=HUB_HOST)
        page.goto(pair.start(WANTED))
        expect(page).to_have_url(f"{pair.hub}{WANTED}")
        expect(page.get_by_role("main")).to_contain_text(ada.mail)


def test_signing_out_here_ends_the_session_there(pair: Pair, page: Page) -> None:
    ada = pair.hire("Ada")
    _sign_in(page, pair, ada)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You are signed out")
    page.goto(pair.start())
    expect(page.locator("#password")).to_be_visible()
    page.goto(f"{pair.hub}{WANTED}")
    expect(page).to_have_url(f"{pair.hub}/login/?next=%2Fme%2F%3Ffrom%3Da-link")


def test_signing_out_there_ends_the_session_here(pair: Pair, page: Page) -> None:
    ada = pair.hire("Ada")
    _sign_in(page, pair, ada)
    page.goto(pair.idp.sign_out_url(f"{pair.hub}/logout/"))
    expect(page.get_by_role("main")).to_contain_text("You are not signed in")
    page.goto(f"{pair.hub}/me/")
    expect(page.get_by_label("E-mail")).to_be_visible()
    assert not Session.objects.exists()


_BRING = """async ([url, fields, again]) => {
    const form = document.createElement("form")
    Object.assign(form, {method: "post", action: url})
    for (const [name, value] of Object.entries(fields)) {
        form.append(Object.assign(document.createElement("input"), {type: "hidden", name, value}))
    }
    document.body.append(form)
    form.submit()
    if (again) setTimeout(() => form.submit(), 5)
}"""


class Answer:
    """The IdP's answer to one login, kept in the browser until somebody brings it."""

    def __init__(self, page: Page, pair: Pair, person: Person, wanted: str = WANTED) -> None:
        self.pair, self.wanted = pair, wanted
        kept: list[str] = []

        def keep(route: Route) -> None:
            kept.append(route.request.post_data or "")
            route.abort()

        page.route(pair.acs, keep)
        with page.expect_event("requestfailed"):
            page.goto(pair.start(wanted))
            # Not asked again when she has a session there.
            if page.locator("#password").count():
                give_password(page, person)
        page.unroute(pair.acs)
        self.fields = dict(parse_qsl(kept[0], keep_blank_values=True))

    def bring(self, page: Page, *, again: bool = False) -> None:
        """From a page of the IdP, as its own form would; `again`: the button is pressed once more."""
        page.evaluate(_BRING, [self.pair.acs, self.fields, again])

    def at_the_idp(self, page: Page) -> Page:
        page.goto(f"{self.pair.idp.url}/resources/default.css")
        return page

    def arrived(self, page: Page) -> None:
        expect(page).to_have_url(f"{self.pair.hub}{self.wanted}")


def test_a_button_pressed_twice_ends_where_the_first_press_did(pair: Pair, page: Page) -> None:
    answer = Answer(page, pair, pair.hire("Ada"))
    sent: list[Request] = []
    page.on("request", lambda request: sent.append(request) if request.url == pair.acs else None)
    answer.bring(answer.at_the_idp(page), again=True)
    answer.arrived(page)
    assert len(sent) == 2
    assert (Session.objects.count(), Identity.objects.count()) == (1, 1)


def test_one_answer_brought_twice_at_once_ends_in_one_session(pair: Pair, page: Page) -> None:
    answer = Answer(page, pair, pair.hire("Ada"))
    tabs = [answer.at_the_idp(tab) for tab in (page, page.context.new_page())]
    for tab in tabs:
        answer.bring(tab)
    for tab in tabs:
        answer.arrived(tab)
    assert (Session.objects.count(), Identity.objects.count()) == (1, 1)


def test_one_answer_brought_again_a_moment_later_ends_where_it_did(pair: Pair, page: Page) -> None:
    answer = Answer(page, pair, pair.hire("Ada"))
    for _ in range(2):
        answer.bring(answer.at_the_idp(page))
        answer.arrived(page)
    assert Session.objects.count() == 1


def test_one_answer_brought_again_too_late_offers_to_start_again(pair: Pair, page: Page) -> None:
    ada = pair.hire("Ada")
    answer = Answer(page, pair, ada)
    answer.bring(answer.at_the_idp(page))
    answer.arrived(page)
    ConsumedAssertion.objects.update(created_at=F("created_at") - DOUBLE_CLICK - timedelta(seconds=1))
    answer.bring(answer.at_the_idp(page))
    expect(page.get_by_role("heading", level=1)).to_have_text("This sign-in was already used")
    assert pair.last_reason() == "saml:replayed"
    # Her session still stands: no form is between her and her account.
    page.get_by_role("link", name="Start again").click()
    expect(page).to_have_url(f"{pair.hub}{WANTED}")


def _press_back(page: Page, to: str) -> Page:
    """The tab in which the page before, at `to`, is loaded once more."""
    try:
        page.go_back()
    except Error:
        # Where that page was the answer to a form, Chromium asks whether to send the form again: it stays a question.
        page = page.context.new_page()
        page.goto(to)
    return page


def test_the_back_button_after_a_login_leads_to_a_way_on(pair: Pair, page: Page) -> None:
    """SimpleSAMLphp has forgotten the request by then, and begins a login of its own."""
    page.goto(pair.start(WANTED))
    form = page.url
    give_password(page, pair.hire("Ada"))
    expect(page).to_have_url(f"{pair.hub}{WANTED}")
    page = _press_back(page, to=form)
    expect(page).to_have_url(pair.acs)
    assert pair.last_reason() == "saml:unsolicited"
    page.get_by_role("link", name="Start again").click()
    expect(page).to_have_url(f"{pair.hub}/me/")


def test_two_tabs_that_began_together_each_end_where_they_wanted(pair: Pair, page: Page) -> None:
    ada, other = pair.hire("Ada"), page.context.new_page()
    page.goto(pair.start("/me/?tab=1"))
    other.goto(pair.start("/me/?tab=2"))
    for tab, wanted in ((other, "/me/?tab=2"), (page, "/me/?tab=1")):
        give_password(tab, ada)
        expect(tab).to_have_url(f"{pair.hub}{wanted}")
    _both_are_in(page, other, ada)


def test_two_answers_that_come_at_once_each_end_where_they_wanted(pair: Pair, page: Page) -> None:
    ada, other = pair.hire("Ada"), page.context.new_page()
    answers = {
        tab: Answer(tab, pair, ada, wanted) for tab, wanted in ((page, "/me/?tab=1"), (other, "/me/?tab=2"))
    }
    for tab, answer in answers.items():
        answer.at_the_idp(tab)
    for tab, answer in answers.items():
        answer.bring(tab)
    for tab, answer in answers.items():
        answer.arrived(tab)
    _both_are_in(page, other, ada)


def _both_are_in(page: Page, other: Page, person: Person) -> None:
    for tab in (page, other):
        tab.reload()
        expect(tab.get_by_role("main")).to_contain_text(person.mail)


def test_a_lost_cookie_ends_on_a_page_that_offers_to_start_again(pair: Pair, page: Page) -> None:
    ada = pair.hire("Ada")
    page.goto(pair.start(WANTED))
    page.context.clear_cookies(domain=HUB_HOST)
    give_password(page, ada)
    expect(page.get_by_role("heading", level=1)).to_have_text("Please start here")
    # Loading the page anew brings the same answer again.
    page.reload()
    _can_start_again(page, pair, ada, "saml:browser-foreign")


def test_a_login_left_open_too_long_offers_to_start_again(pair: Pair, page: Page) -> None:
    ada = pair.hire("Ada")
    page.goto(pair.start(WANTED))
    PendingRequest.objects.update(expires_at=F("expires_at") - PENDING_LIFE)
    give_password(page, ada)
    _can_start_again(page, pair, ada, "saml:request-expired")


@pytest.mark.parametrize("seconds", [60, -60], ids=["60 seconds ahead", "60 seconds behind"])
def test_a_clock_that_is_a_minute_off_keeps_nobody_out(pair: Pair, page: Page, seconds: int) -> None:
    pair.idp.behave(clock=seconds)
    _sign_in(page, pair, pair.hire("Ada"))
    page.goto(pair.idp.sign_out_url(f"{pair.hub}/logout/"))
    expect(page.get_by_role("main")).to_contain_text("You are not signed in")


WRONG: dict[str, tuple[int, str]] = {
    "ten minutes ahead": (600, "saml:not-yet-valid"),
    "ten minutes behind": (-600, "saml:expired"),
}


@pytest.mark.parametrize(("seconds", "reason"), WRONG.values(), ids=WRONG)
def test_a_clock_that_is_wrong_ends_on_a_page_that_offers_to_start_again(
    pair: Pair, page: Page, seconds: int, reason: str
) -> None:
    ada = pair.hire("Ada")
    pair.idp.behave(clock=seconds)
    page.goto(pair.start(WANTED))
    give_password(page, ada)
    expect(page.get_by_role("link", name="Start again")).to_be_visible()
    pair.idp.behave()
    _can_start_again(page, pair, ada, reason)
