"""Takes the pictures of README.md from a running hub: `python -m tests.journeys.pictures`. Asserts nothing."""

import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from identity_hub.demo import stack
from identity_hub.demo.dialects import Entra, Okta, over_http
from identity_hub.demo.files import IDP_CONNECTION, OKTA_CONNECTION, PASSWORD, Person, new_person
from identity_hub.demo.stack import Stack
from identity_hub.settings import BASE_DIR
from tests.journeys.chromium import CHROMIUM_ARGUMENTS, chromium

FOLDER = BASE_DIR / "docs" / "images"
SIZE: ViewportSize = {"width": 1200, "height": 760}
# From 1280 on the admin's menu stands open.
DESK: ViewportSize = {"width": 1400, "height": 880}

_STAFF = "Mia Moss, Leo Lang, Zoe Zink, Max Mohr, Eva Ebert, Tom Thiel, Ida Ilg, Jan Jost, Lea Lux, Kim Kern"


def _populate(hub: Stack) -> None:
    entra = Entra(send=over_http(hub.hub.scim, hub.hub.tokens[IDP_CONNECTION], Entra.agent))
    okta = Okta(send=over_http(hub.hub.scim, hub.hub.tokens[OKTA_CONNECTION], Okta.agent))
    people = [
        new_person(*name.split(), title="Engineer", department="Engineering") for name in _STAFF.split(", ")
    ]
    ids = [entra.push(person)["id"] for person in people]
    entra.push_group("Everybody", ids)
    entra.set_active(ids[3], False)
    # The same e-mail from a second identity provider: a doubtful case that waits for a person.
    okta.push(people[0])
    hub.manage(
        "reconcile",
        *("--connection", hub.hub.connections[IDP_CONNECTION]),
        *("--execute", "--reason", "A picture."),
    )


def _window(browser: Browser, size: ViewportSize) -> Page:
    return browser.new_context(viewport=size).new_page()


def _save(page: Page, name: str) -> None:
    page.wait_for_load_state("networkidle")
    page.screenshot(path=FOLDER / f"{name}.png")


def _to_idp(page: Page, hub: Stack, person: Person) -> None:
    page.goto(f"{hub.hub.url}/login/")
    page.get_by_label("E-mail").fill(person.user_name)
    page.get_by_role("button", name="Continue").click()
    page.get_by_label(person.name).check()


def _from_idp(page: Page, hub: Stack) -> None:
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{hub.hub.url}/**")


def take(browser: Browser, hub: Stack) -> None:
    people = {person.given_name: person for person in hub.directory.people()}
    anna, nora = people["Anna"], people["Nora"]

    visitor = _window(browser, SIZE)
    visitor.goto(f"{hub.hub.url}/login/")
    _save(visitor, "sign-in")
    _to_idp(visitor, hub, nora)
    _from_idp(visitor, hub)
    visitor.context.clear_cookies()
    _to_idp(visitor, hub, anna)
    _save(visitor, "idp-login")
    _from_idp(visitor, hub)
    _save(visitor, "my-account")

    idp = _window(browser, SIZE)
    idp.goto(hub.hub.idp_url)
    row = idp.get_by_role("row").filter(has_text=anna.name)
    row.get_by_role("button", name="Disable").click()
    _save(idp, "push-page")
    visitor.context.clear_cookies()
    _to_idp(visitor, hub, anna)
    _from_idp(visitor, hub)
    _save(visitor, "refused")
    reference = re.search(r"\b[0-9A-Z]{5}-[0-9A-Z]{5}\b", visitor.content())

    admin = _window(browser, DESK)
    admin.goto(f"{hub.hub.url}/admin/")
    admin.locator("input[name=username]").fill(hub.hub.administrator)
    admin.locator("input[name=password]").fill(hub.hub.administrator_password)
    admin.locator("input[name=password]").press("Enter")
    admin.wait_for_url(f"{hub.hub.url}/admin/")
    _save(admin, "admin-start")
    admin.goto(f"{hub.hub.url}/admin/find/?q={anna.user_name}")
    _save(admin, "admin-identity")
    admin.goto(f"{hub.hub.url}/admin/find/?q={reference[0] if reference else ''}")
    _save(admin, "admin-reference")
    admin.goto(f"{hub.hub.url}/admin/posture/")
    _save(admin, "admin-posture")
    admin.goto(f"{hub.hub.url}/admin/provisioning/finding/")
    admin.get_by_role("link", name="One identity may be the same person").click()
    _save(admin, "admin-finding")
    admin.goto(f"{hub.hub.url}/admin/provisioning/scimrequest/")
    _save(admin, "admin-log")


def main() -> int:
    program = chromium()
    if program is None:
        sys.exit("No Chromium on the path.")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="hub-pictures-") as folder, sync_playwright() as playwright:
        with stack.started(Path(folder)) as hub:
            _populate(hub)
            browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM_ARGUMENTS)
            take(browser, hub)
            browser.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
