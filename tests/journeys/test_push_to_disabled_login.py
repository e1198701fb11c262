"""From a push to a refused login, and from a login to its adoption, as people see it in their browser."""

import re
from dataclasses import replace

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from identity_hub.demo.dialects import Entra
from identity_hub.demo.files import PASSWORD, Person, new_person
from identity_hub.demo.stack import Stack
from identity_hub.demo.story import Story, play
from identity_hub.demo.visitor import Visitor

pytestmark = [pytest.mark.journey, pytest.mark.slow]

REFERENCE = re.compile(r"\b[0-9A-Z]{5}-[0-9A-Z]{5}\b")


PRESSED_TWICE = """button => new Promise((told) => {
  let sent = 0;
  addEventListener("submit", (event) => (sent += !event.defaultPrevented));
  button.click();
  setTimeout(() => { button.click(); told(sent); }, 100);
})"""
"""How often the form was sent."""


def _hire(hub: Stack, given_name: str, family_name: str) -> Person:
    """Somebody new at the organisation; nobody has told the hub."""
    person = new_person(given_name, family_name, title="Engineer", department="Engineering")
    hub.directory.add(person)
    return person


def _sign_in(page: Page, hub: Stack, person: Person) -> None:
    """From the hub's sign-in page to the IdP's form, and back to wherever that leads."""
    page.goto(f"{hub.hub.url}/login/")
    page.get_by_label("E-mail").fill(person.user_name)
    page.get_by_role("button", name=re.compile("continue|sign in", re.IGNORECASE)).first.click()
    page.get_by_label(person.name).check()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{hub.hub.url}/**")


def _sign_in_to_admin(page: Page, hub: Stack) -> None:
    page.goto(f"{hub.hub.url}/admin/")
    page.locator("input[name=username]").fill(hub.hub.administrator)
    page.locator("input[name=password]").fill(hub.hub.administrator_password)
    page.locator("input[name=password]").press("Enter")
    page.wait_for_url(f"{hub.hub.url}/admin/")


def test_a_disabled_person_is_out_at_the_next_click_and_the_administrator_finds_out_why(
    hub: Stack, entra: Entra, page: Page, browser: Browser
) -> None:
    ada = _hire(hub, "Ada", "Journey")
    account = entra.push(ada)

    _sign_in(page, hub, ada)
    expect(page).to_have_url(f"{hub.hub.url}/me/")
    expect(page.get_by_role("main")).to_contain_text(ada.name)

    entra.set_active(account["id"], False)
    page.reload()
    expect(page).to_have_url(re.compile(r"/login/"))
    expect(page.get_by_role("main")).not_to_contain_text(ada.name)

    _sign_in(page, hub, ada)
    expect(page.get_by_role("heading", level=1)).to_contain_text("disabled")
    reference = REFERENCE.search(page.get_by_role("main").inner_text())
    assert reference is not None, "the page shows no reference"

    administrators = browser.new_context()
    desk = administrators.new_page()
    _sign_in_to_admin(desk, hub)
    desk.goto(f"{hub.hub.url}/admin/find/?q={reference[0]}")
    expect(desk.get_by_role("heading", level=1)).to_contain_text(reference[0])
    expect(desk.locator("body")).to_contain_text("login:identity-held")
    administrators.close()


def test_a_first_login_makes_the_account_that_scim_later_adopts(hub: Stack, entra: Entra, page: Page) -> None:
    nora = _hire(hub, "Nora", "Journey")
    assert entra.find("Users", "userName", nora.user_name) is None

    _sign_in(page, hub, nora)
    expect(page).to_have_url(f"{hub.hub.url}/me/")
    made = entra.find("Users", "userName", nora.user_name)
    assert made is not None, "her own IdP does not see the account that her login made"

    adopted = entra.push(nora)
    assert adopted["id"] == made["id"]
    entra.push_group("Journey", [adopted["id"]])

    page.reload()
    expect(page.get_by_role("main")).to_contain_text(nora.name)
    expect(page.get_by_role("main")).to_contain_text("Journey")
    reasons = [record["reason"] for record in hub.manage("audit", "--identity", nora.user_name)["records"]]
    assert "login:account-created" in reasons
    assert "account:adopted" in reasons


def test_what_an_operator_makes_by_command_signs_people_in_at_once(hub: Stack) -> None:
    hub.manage("create_tenant", "orchard", "--domain", "orchard.example", "--reason", "A trial.")
    made = hub.manage(
        "create_connection",
        *("--tenant", "orchard", "--name", "Orchard", "--jit", "create"),
        *("--idp-metadata", f"{hub.hub.idp_url}/metadata"),
        *("--activate", "A trial."),
    )
    olive = replace(new_person("Olive", "Journey"), user_name="olive@orchard.example")
    hub.directory.add(olive)
    visitor = Visitor(hub)
    assert visitor.log_in(olive, made["id"]).url == f"{hub.hub.url}/me/"
    status, me = visitor.me()
    assert (status, me["tenant"], me["connection"]["id"]) == (200, "orchard", made["id"])


def test_the_story_that_make_demo_tells_is_true(hub: Stack) -> None:
    story = Story(hub)
    with story.people():
        played = play(story)
    assert [step for step in played if step.mark != "✓"] == []


def test_an_administrator_who_presses_twice_does_it_once_and_sees_what_was_done(
    hub: Stack, page: Page, browser: Browser
) -> None:
    ada = _hire(hub, "Ada", "Twice")
    _sign_in(page, hub, ada)
    administrators = browser.new_context()
    desk = administrators.new_page()
    _sign_in_to_admin(desk, hub)
    desk.goto(f"{hub.hub.url}/admin/provisioning/opensession/?q={ada.user_name}")
    desk.get_by_role("link", name=re.compile("^End: ")).first.click()
    desk.get_by_label("Reason").fill("A lost telephone")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    desk.route("**/end/", hold)
    sent = desk.get_by_role("button", name="End it").evaluate(PRESSED_TWICE)
    assert sent == 1, "the hub has not answered yet"
    for route in held:
        route.continue_()
    expect(desk.locator("body")).to_contain_text("The session has ended.")
    administrators.close()
