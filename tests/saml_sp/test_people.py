"""Sign in, my account, sign out, as a person sees them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client

from identity_hub.core.clock import now
from provisioning.formats import Format, cleaned
from provisioning.models import (
    Account,
    AuditRecord,
    AuditValue,
    Connection,
    DirectoryGroup,
    Identity,
    Membership,
    OpenSession,
    Session,
    Tenant,
)
from provisioning.selectors import choices

from .idp import TestIdp, key_pair
from .parties import Browser, make_connection, make_tenant


def test_the_start_page_leads_to_sign_in_or_to_the_account(browser: Browser) -> None:
    assert browser.client.get("/")["Location"] == "/login/"
    browser.sign_in()
    assert browser.client.get("/")["Location"] == "/me/"
    assert browser.client.get("/login/")["Location"] == "/me/"


def test_an_email_leads_to_its_connection(client: Client, connection: Connection) -> None:
    answer = client.post("/login/", {"email": " Ada@CORP.example ", "next": "/me/?x=1"})
    assert answer.status_code == 302
    assert answer["Location"] == f"/saml/{connection.pk}/login?next=%2Fme%2F%3Fx%3D1"


def test_nobody_learns_who_has_an_account(browser: Browser) -> None:
    browser.sign_in()
    client = Client()
    known = client.post("/login/", {"email": "ada@corp.example"})
    unknown = client.post("/login/", {"email": "nobody@corp.example"})
    assert known["Location"] == unknown["Location"]


def test_several_connections_of_a_domain_are_offered(
    client: Client, connection: Connection, idp: TestIdp
) -> None:
    make_connection(connection.tenant, idp, name="Contractors")
    page = client.post("/login/", {"email": "ada@corp.example"})
    assert page.status_code == 200
    assert b"Contractors" in page.content
    assert b"Test IdP" in page.content


@pytest.mark.parametrize("email", ["", "ada", "ada@", "@corp.example", "a@b@corp.example"])
def test_half_an_address_is_asked_for_again(client: Client, connection: Connection, email: str) -> None:
    page = client.post("/login/", {"email": email})
    assert page.status_code == 400
    assert b'role="alert"' in page.content


@pytest.mark.parametrize("domain", ["elsewhere.example", "sub.corp.example", "evilcorp.example"])
def test_a_domain_matches_exactly_or_not_at_all(client: Client, connection: Connection, domain: str) -> None:
    assert client.post("/login/", {"email": f"<b>@{domain}"}).status_code == 404


@pytest.mark.parametrize("domain", ["b\u00fccher.example", "B\u00dcCHER.example", "xn--bcher-kva.example"])
def test_a_domain_is_found_in_either_form(client: Client, db: None, idp: TestIdp, domain: str) -> None:
    unknown = client.post("/login/", {"email": f"ada@{domain}"})
    assert (unknown.status_code, f"@{domain}." in unknown.content.decode()) == (404, True)
    connection = make_connection(make_tenant("books", "xn--bcher-kva.example"), idp)
    known = client.post("/login/", {"email": f"ada@{domain}"})
    assert known["Location"] == f"/saml/{connection.pk}/login?next=%2Fme%2F"


def test_my_account_in_json(browser: Browser) -> None:
    assert browser.me().status_code == 401
    browser.sign_in()
    account = Account.objects.get()
    group = DirectoryGroup.objects.create(
        tenant=account.tenant,
        connection=account.connection,
        display_name="Engineering",
        display_name_key="engineering",
    )
    Membership.objects.create(tenant=account.tenant, group=group, account=account)
    assert browser.me().json() == {
        "id": str(account.identity_id),
        "userName": "p-4711",
        "tenant": "corp",
        "connection": {"id": str(browser.connection.pk), "name": "Test IdP"},
        "groups": ["Engineering"],
    }


def test_my_account_as_a_page(browser: Browser) -> None:
    assert browser.client.get("/me/")["Location"] == "/login/?next=%2Fme%2F"
    browser.sign_in()
    page = browser.client.get("/me/", headers={"User-Agent": "Mozilla/5.0 (X11; Linux) Firefox/140"})
    assert page.status_code == 200
    text = page.content.decode()
    assert "Ada Lovelace" in text
    assert "Test IdP" in text
    assert "This device" in text
    assert Session.objects.get().session_key not in text


def test_one_of_my_sessions_ends(browser: Browser) -> None:
    browser.sign_in()
    phone = Browser(connection=browser.connection, idp=browser.idp)
    phone.sign_in()
    sessions = browser.client.get("/me/").context["sessions"]
    current = browser.client.get("/me/").context["current"]
    (other,) = [session for session in sessions if session.handle != current]
    csrf = browser.client.cookies["hub_csrf"].value
    answer = browser.client.post(f"/me/sessions/{other.handle}/end", {"csrfmiddlewaretoken": csrf})
    assert answer.status_code == 302
    assert phone.me().status_code == 401
    assert browser.me().status_code == 200
    assert AuditRecord.objects.filter(reason="identity:session-ended").count() == 1
    again = browser.client.post(
        f"/me/sessions/{other.handle}/end", {"csrfmiddlewaretoken": csrf}, follow=True
    )
    assert (again.status_code, b"The session was over already" in again.content) == (200, True)
    assert AuditRecord.objects.filter(reason="identity:session-ended").count() == 1


def test_somebody_elses_session_is_not_mine_to_end(browser: Browser) -> None:
    browser.sign_in()
    evil = TestIdp(entity_id="https://evil.example/metadata", keys=key_pair("evil"))
    other = Browser(connection=make_connection(make_tenant("evil", "evil.example"), evil), idp=evil)
    other.sign_in(attributes={"email": ["eve@evil.example"]})
    handle = browser.client.get("/me/").context["sessions"][0].handle
    other.client.get("/me/")
    csrf = other.client.cookies["hub_csrf"].value
    answers = [
        other.client.post(f"/me/sessions/{handle}/end", {"csrfmiddlewaretoken": csrf}, follow=True)
        for handle in (handle, "nobodys")
    ]
    assert answers[0].redirect_chain == answers[1].redirect_chain == [("/me/#sessions", 302)]
    assert b"The session was over already" in answers[0].content
    assert browser.me().status_code == 200


def test_sign_out_needs_a_post_with_a_token(browser: Browser) -> None:
    browser.sign_in()
    assert browser.client.get("/logout/").status_code == 200
    assert browser.client.post("/logout/").status_code == 403
    assert browser.me().status_code == 200
    csrf = browser.client.cookies["hub_csrf"].value
    assert browser.client.post("/logout/", {"csrfmiddlewaretoken": csrf}).status_code == 302
    assert browser.me().status_code == 401
    assert not Session.objects.exists()


def test_a_local_administrator_sees_the_account_page_too(client: Client, tenant: Tenant) -> None:
    root = Identity.objects.create(local=True, login_name="root", is_superuser=True, display_name="Root")
    client.force_login(root)
    assert client.get("/me/").status_code == 200
    body: dict[str, Any] = client.get("/me/", headers={"Accept": "application/json"}).json()
    assert (body["userName"], body["tenant"], body["connection"]) == ("root", None, None)


def test_pages_carry_no_script_and_no_inline_style(browser: Browser) -> None:
    pages = [browser.client.get("/login/"), browser.client.get(browser.acs)]
    browser.sign_in()
    pages.append(browser.client.get("/me/"))
    for page in pages:
        text = page.content.decode().lower()
        assert "<script" not in text
        assert " style=" not in text
        assert '<html lang="en">' in text


class TestMyLanguageAndTimeZone:
    def choose(self, browser: Browser, **said: str) -> Any:
        browser.client.get("/me/")
        csrf = browser.client.cookies["hub_csrf"].value
        return browser.client.post("/me/preferences", {"csrfmiddlewaretoken": csrf, **said}, follow=True)

    def test_what_i_choose_stays_whatever_my_organisation_says(self, browser: Browser) -> None:
        browser.sign_in()
        page = self.choose(browser, locale="de", time_zone="Europe/Berlin")
        assert page.redirect_chain == [("/me/#yours", 302)]
        text = page.content.decode()
        assert "Kept." in text
        assert '<option value="Europe/Berlin" selected>Berlin' in text
        assert '<option value="de" selected>Deutsch' in text
        browser.sign_in(
            attributes={"email": ["ada@corp.example"], "locale": ["fr"], "zoneinfo": ["Asia/Tokyo"]}
        )
        me = Identity.objects.get()
        assert (me.locale, me.time_zone) == ("de", "Europe/Berlin")

    def test_it_is_on_record_with_what_was_before(self, browser: Browser) -> None:
        browser.sign_in()
        for zone in ("Europe/Berlin", "Asia/Tokyo", "Asia/Tokyo"):
            self.choose(browser, locale="", time_zone=zone)
        _, record = AuditRecord.objects.filter(reason="identity:preferences-set").order_by("id")
        assert record.changes[0]["attributes"] == ["time_zone"]
        assert record.actor_id == str(record.identity_id)
        assert AuditValue.objects.get(pk=record.pk).values == {
            "UpdateIdentity": {"before": {"time_zone": "Europe/Berlin"}, "after": {"time_zone": "Asia/Tokyo"}}
        }

    def test_times_are_told_by_my_clock(self, browser: Browser) -> None:
        browser.sign_in()
        Session.objects.update(created_at=datetime(2026, 1, 2, 23, 30, tzinfo=UTC))
        assert "2 Jan 2026, 23:30</time> UTC" in browser.client.get("/me/").content.decode()
        page = self.choose(browser, locale="", time_zone="Asia/Tokyo")
        assert "3 Jan 2026, 08:30</time> Asia/Tokyo" in page.content.decode()

    def test_a_zone_that_a_source_said_with_blanks_is_told_by(self, browser: Browser) -> None:
        browser.sign_in()
        Identity.objects.update(time_zone=" Asia/Tokyo ")
        page = browser.client.get("/me/")
        assert page.status_code == 200
        assert "</time> Asia/Tokyo ·" in page.content.decode()

    @pytest.mark.parametrize(
        "said",
        [
            {"locale": "nonsense language", "time_zone": ""},
            {"locale": "", "time_zone": "Mars/Olympus"},
            {"locale": "", "time_zone": "../../etc/passwd"},
            {"locale": "x" * 5000, "time_zone": ""},
            {"locale": "<b>", "time_zone": "UTC"},
        ],
    )
    def test_what_nobody_offers_is_not_kept(self, browser: Browser, said: dict[str, str]) -> None:
        browser.sign_in()
        assert self.choose(browser, **said).status_code == 400
        me = Identity.objects.get()
        assert (me.locale, me.time_zone) == ("", "")

    def test_what_a_source_has_said_oddly_is_offered_and_may_stay(self, browser: Browser) -> None:
        browser.sign_in()
        Identity.objects.update(locale="klingon_", time_zone="Moon")
        assert '<option value="Moon" selected>' in browser.client.get("/me/").content.decode()
        assert self.choose(browser, locale="klingon_", time_zone="Europe/Oslo").status_code == 200
        assert Identity.objects.get().time_zone == "Europe/Oslo"

    def test_given_back_it_is_the_organisations_again(self, browser: Browser) -> None:
        browser.sign_in()
        self.choose(browser, locale="de", time_zone="Europe/Berlin")
        self.choose(browser, locale="", time_zone="")
        browser.sign_in(attributes={"email": ["ada@corp.example"], "zoneinfo": ["Asia/Tokyo"]})
        assert Identity.objects.get().time_zone == "Asia/Tokyo"

    def test_without_a_choice_of_mine_the_page_says_that_what_came_first_stays(
        self, browser: Browser
    ) -> None:
        browser.sign_in(attributes={"email": ["ada@corp.example"], "zoneinfo": ["Asia/Tokyo"]})
        self.choose(browser, locale="", time_zone="Asia/Tokyo")
        browser.sign_in(attributes={"email": ["ada@corp.example"], "zoneinfo": ["Europe/Oslo"]})
        assert Identity.objects.get().time_zone == "Asia/Tokyo"
        text = browser.client.get("/me/").content.decode()
        assert text.count('<option value="">No choice of mine</option>') == 2
        assert "what it says first stays until you choose" in text

    def test_a_superuser_chooses_too_and_who_is_not_signed_in_nothing(
        self, client: Client, connection: Connection
    ) -> None:
        assert client.post("/me/preferences", {"locale": "de"})["Location"] == "/login/"
        root = Identity.objects.create(local=True, login_name="root", is_superuser=True, display_name="Root")
        client.force_login(root)
        assert client.post("/me/preferences", {"locale": "pt-BR", "time_zone": "UTC"}).status_code == 302
        root.refresh_from_db()
        assert (root.locale, root.time_zone) == ("pt-BR", "UTC")

    def test_every_choice_that_is_offered_can_be_kept(self) -> None:
        for tag, _ in choices.locales():
            assert cleaned(tag, Format.LOCALE) == tag
        for _, zones in choices.time_zones():
            for name, _ in zones:
                assert cleaned(name, Format.TIME_ZONE) == name


def test_all_my_other_sessions_end(browser: Browser) -> None:
    browser.sign_in()
    page = browser.client.get("/me/").content.decode()
    assert "End all other sessions" not in page
    others = [Browser(connection=browser.connection, idp=browser.idp) for _ in range(2)]
    for other in others:
        other.sign_in()
    somebody = Browser(connection=browser.connection, idp=browser.idp)
    somebody.sign_in(name_id="p-other", attributes={"email": ["eve@corp.example"]})
    assert "End all other sessions" in browser.client.get("/me/").content.decode()
    assert browser.client.get("/me/sessions/end-others").status_code == 405
    assert browser.client.post("/me/sessions/end-others").status_code == 403
    csrf = browser.client.cookies["hub_csrf"].value
    answer = browser.client.post("/me/sessions/end-others", {"csrfmiddlewaretoken": csrf})
    assert answer["Location"] == "/me/"
    assert [one.me().status_code for one in (browser, *others, somebody)] == [200, 401, 401, 200]
    record = AuditRecord.objects.get(reason="identity:other-sessions-ended")
    assert record.actor_id == str(record.identity_id)


def test_who_is_not_signed_in_ends_nothing(client: Client, connection: Connection) -> None:
    assert client.post("/me/sessions/end-others")["Location"] == "/login/"


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(now().replace(microsecond=0), tick=False) as travelled:
        yield travelled


def test_being_used_is_written_down_and_keeps_a_session_open(
    connection: Connection, idp: TestIdp, clock: time_machine.Traveller
) -> None:
    connection.session_idle_minutes = 30
    connection.save()
    browser = Browser(connection=connection, idp=idp)
    browser.sign_in()
    began = OpenSession.objects.get()
    clock.shift(20 * 60)
    assert browser.me().status_code == 200
    used = OpenSession.objects.get()
    assert used.pk == began.pk
    assert used.seen_at - began.seen_at == used.ends_unused_at - began.ends_unused_at == timedelta(minutes=20)
    clock.shift(31 * 60)
    assert not OpenSession.objects.exists()
    assert browser.me().status_code == 401
