"""How people find their sign-in: by an e-mail domain, a tenant's address, what the browser remembers. No page tells who
has an account, or more of an organisation than that it signs in here."""

import re
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from django.test import Client

from provisioning.models import Connection, Tenant
from saml_sp.browser import CHOICE
from saml_sp.models import LoginAttempt

from .idp import TestIdp
from .parties import Browser, make_connection, make_tenant

NEXT = "/me/?tab=groups"


def start_of(connection: Connection, next_path: str = "/me/") -> str:
    return f"/saml/{connection.pk}/login?next={quote(next_path, safe='')}"


def calm(page: Any) -> str:
    """A page without its form tokens, which differ each time."""
    return re.sub(r'name="csrfmiddlewaretoken" value="[^"]+"', "", page.content.decode())


@pytest.fixture
def contractors(connection: Connection, idp: TestIdp) -> Connection:
    return make_connection(connection.tenant, idp, name="Contractors", precedence=200)


class TestATenantsAddress:
    def test_the_only_connection_is_the_way(self, client: Client, connection: Connection) -> None:
        answer = client.get("/login/corp/", {"next": NEXT})
        assert answer.status_code == 302
        assert answer["Location"] == start_of(connection, NEXT)

    def test_several_are_offered_in_their_order(
        self, client: Client, connection: Connection, contractors: Connection
    ) -> None:
        page = client.get("/login/corp/", {"next": NEXT})
        assert page.status_code == 200
        assert page.context["addresses"] == [
            (connection, start_of(connection, NEXT)),
            (contractors, start_of(contractors, NEXT)),
        ]
        assert f"/login/?next={quote(NEXT, safe='')}" in page.content.decode()

    def test_another_tenants_is_not_offered(
        self, client: Client, connection: Connection, contractors: Connection, idp: TestIdp
    ) -> None:
        make_connection(make_tenant("evil", "evil.example"), idp, name="Evil IdP")
        assert "Evil" not in client.get("/login/corp/").content.decode()

    def test_what_cannot_sign_in_reads_like_what_does_not_exist(self, client: Client, tenant: Tenant) -> None:
        unknown = client.get("/login/nobody/")
        assert unknown.status_code == 404
        assert "No organisation signs in at this address" in unknown.content.decode()
        nothing = client.get("/login/corp/")
        for status in Connection.Status.values:
            make_connection(tenant, None, name=f"Unfinished {status}", status=status)
        unfinished = client.get("/login/corp/")
        Connection.objects.filter(tenant=tenant).update(idp_metadata="<x/>")
        Connection.objects.filter(status__in=("active", "frozen")).delete()
        inactive = client.get("/login/corp/")
        for page in (nothing, unfinished, inactive):
            assert (page.status_code, calm(page)) == (404, calm(unknown))
            assert set(page.headers) == set(unknown.headers)

    def test_who_is_signed_in_goes_on(self, browser: Browser) -> None:
        browser.sign_in()
        assert browser.client.get("/login/corp/", {"next": NEXT})["Location"] == NEXT
        assert browser.client.get("/login/nobody/", {"next": NEXT})["Location"] == NEXT

    @pytest.mark.parametrize("wanted", ["https://evil.example/", "//evil.example", "/\\evil.example", ""])
    def test_it_leads_nowhere_else(self, client: Client, connection: Connection, wanted: str) -> None:
        assert client.get("/login/corp/", {"next": wanted})["Location"] == start_of(connection)


class TestARememberedChoice:
    def test_a_login_that_succeeded_is_remembered(self, browser: Browser) -> None:
        answer = browser.sign_in()
        cookie = answer.cookies[CHOICE]
        assert cookie.value == str(browser.connection.pk)
        assert (cookie["path"], cookie["max-age"]) == ("/login/", 180 * 24 * 3600)
        assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")

    def test_over_tls_the_cookie_is_secure(self, browser: Browser, settings: Any) -> None:
        settings.HUB_PUBLIC_URL = "https://hub.example"
        assert browser.sign_in().cookies[CHOICE]["secure"]

    def test_it_is_offered_first_with_the_form_below(self, browser: Browser) -> None:
        browser.sign_in()
        signed_out(browser)
        page = browser.client.get("/login/", {"next": NEXT})
        assert page.context["last_address"] == start_of(browser.connection, NEXT)
        text = page.content.decode()
        assert (
            text.index("Continue with Test IdP")
            < text.index("Use another address")
            < text.index('id="email"')
        )

    def test_it_comes_first_where_there_are_several(
        self, connection: Connection, contractors: Connection, idp: TestIdp
    ) -> None:
        browser = Browser(connection=contractors, idp=idp)
        browser.sign_in()
        signed_out(browser)
        for page in (browser.client.get("/login/corp/"), by_email(browser.client, "ada@corp.example")):
            assert [row for row, _ in page.context["addresses"]] == [contractors, connection]
            assert page.content.decode().count("Used last") == 1

    @pytest.mark.parametrize(
        "value",
        ["", "nonsense", str(uuid4()), "a\x00b", "x" * 5000],
        ids=["empty", "no id", "no row", "NUL", "long"],
    )
    def test_what_is_no_connection_is_passed_over(
        self, client: Client, connection: Connection, value: str
    ) -> None:
        client.cookies[CHOICE] = value
        page = client.get("/login/")
        assert page.status_code == 200
        assert "last" not in page.context

    @pytest.mark.parametrize("changes", [{"status": "disabled"}, {"status": "frozen"}, {"idp_metadata": ""}])
    def test_one_that_takes_no_logins_now_is_not_offered(
        self, browser: Browser, changes: dict[str, str]
    ) -> None:
        browser.sign_in()
        signed_out(browser)
        Connection.objects.update(**changes)
        text = browser.client.get("/login/").content.decode()
        assert "Test IdP" not in text
        assert "Corp" not in text

    @pytest.mark.parametrize("path", ["/login/corp/", "/login/"])
    def test_a_link_that_somebody_was_sent_is_not_remembered(
        self, client: Client, connection: Connection, path: str
    ) -> None:
        """Else an image on any page could make the sign-in page offer the attacker's IdP."""
        client.get(path)
        client.get(f"/saml/{connection.pk}/login")
        assert CHOICE not in client.cookies

    def test_a_refused_login_is_not_remembered(self, browser: Browser) -> None:
        answer = browser.sign_in(attributes={"email": ["ada@elsewhere.example"]})
        assert answer.status_code == 403
        assert CHOICE not in answer.cookies

    def test_it_is_forgotten_when_somebody_says_so(self, browser: Browser) -> None:
        browser.sign_in()
        signed_out(browser)
        page = browser.client.get("/login/", {"next": NEXT})
        assert browser.client.get("/login/forget").status_code == 405
        answer = browser.client.post(
            "/login/forget",
            {"csrfmiddlewaretoken": browser.client.cookies["hub_csrf"].value, "next": NEXT},
        )
        assert answer["Location"] == f"/login/?next={quote(NEXT, safe='')}"
        assert answer.cookies[CHOICE]["max-age"] == 0
        assert "Continue with" in page.content.decode()
        del browser.client.cookies[CHOICE]
        assert "Continue with" not in browser.client.get("/login/").content.decode()


@pytest.mark.parametrize(
    ("status", "title"),
    [("frozen", "This sign-in is paused"), ("disabled", "This sign-in is not in use")],
)
def test_whose_sign_in_is_switched_off_hears_that_and_not_that_nobody_knows_her(
    client: Client, connection: Connection, status: str, title: str
) -> None:
    Connection.objects.update(status=status)
    ways = [by_email(client, "ada@corp.example", NEXT)]
    if status == "frozen":
        ways.append(client.get("/login/corp/", {"next": NEXT}))
    for way in ways:
        assert way["Location"] == start_of(connection, NEXT)
        page = client.get(way["Location"])
        assert page.status_code == 403
        assert title in page.content.decode()
        assert LoginAttempt.objects.get(reference=page.context["reference"]).connection_id == connection.pk


def test_one_that_is_switched_off_is_not_offered_beside_another(
    client: Client, connection: Connection, contractors: Connection
) -> None:
    Connection.objects.filter(pk=connection.pk).update(status="disabled")
    assert by_email(client, "ada@corp.example")["Location"] == start_of(contractors)
    Connection.objects.filter(pk=connection.pk).update(status="frozen")
    page = by_email(client, "ada@corp.example")
    assert [row for row, _ in page.context["addresses"]] == [connection, contractors]


def by_email(client: Client, email: str, next_path: str = "/me/") -> Any:
    client.get("/login/")
    csrf = client.cookies["hub_csrf"].value
    return client.post("/login/", {"email": email, "next": next_path, "csrfmiddlewaretoken": csrf})


def signed_out(browser: Browser) -> None:
    del browser.client.cookies["hub_session"]


def test_every_way_keeps_where_the_person_wanted_to_go(
    client: Client, connection: Connection, contractors: Connection
) -> None:
    assert client.get("/me/?tab=groups")["Location"] == f"/login/?next={quote(NEXT, safe='')}"
    for page in (
        client.get("/login/", {"next": NEXT}),
        client.get("/login/nobody/", {"next": NEXT}),
        by_email(client, "half", NEXT),
        by_email(client, "ada@elsewhere.example", NEXT),
    ):
        assert f'<input type="hidden" name="next" value="{NEXT}">' in page.content.decode()
    for page in (client.get("/login/corp/", {"next": NEXT}), by_email(client, "ada@corp.example", NEXT)):
        assert f'href="{start_of(contractors, NEXT)}"' in page.content.decode()
