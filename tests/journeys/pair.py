"""A connection of the hub and SimpleSAMLphp that know each other, and somebody who signs in. Knows no journey."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import requests
from lxml import html
from playwright.sync_api import Page, expect

from provisioning.models import Connection
from provisioning.services import configuration
from saml_sp.models import LoginAttempt
from tests.idps.simplesamlphp import PASSWORD, Person, SimpleSamlPhp
from tests.provisioning.cast import OPERATOR, extend
from tests.saml_sp.parties import make_tenant

from .sites import HUB_HOST, local_session

DOMAIN = "corp.example"


def give_password(page: Page, person: Person) -> None:
    """Signs in at the IdP, whose page puts the cursor into its first field when it is ready, and not before."""
    expect(page.locator("#username")).to_be_focused()
    page.locator("#username").fill(person.uid)
    page.locator("#password").fill(PASSWORD)
    page.locator("#password").press("Enter")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sites:
    """Where the hub is (its public URL), and the IdP; `pem` is the certificate of both."""

    hub: str
    idp: SimpleSamlPhp
    pem: Path


@dataclass(slots=True, kw_only=True)
class Pair:
    sites: Sites
    connection: Connection

    @property
    def hub(self) -> str:
        return self.sites.hub

    @property
    def idp(self) -> SimpleSamlPhp:
        return self.sites.idp

    @property
    def acs(self) -> str:
        return f"{self.hub}/saml/{self.connection.pk}/acs"

    @property
    def entity_id(self) -> str:
        return f"{self.hub}/saml/{self.connection.pk}/metadata"

    def start(self, following: str = "") -> str:
        """Where a login begins; it ends at `following`."""
        return f"{self.hub}/saml/{self.connection.pk}/login?{urlencode({'next': following})}"

    def set(self, **changes: Any) -> None:
        self.connection = configuration.change_connection(
            connection=self.connection, changes=changes, actor=OPERATOR, reason="As agreed"
        )

    def metadata(self) -> str:
        """What the hub publishes for the IdP."""
        answer = local_session(self.sites.pem).get(self.entity_id, timeout=30)
        answer.raise_for_status()
        return answer.text

    def learn(self) -> None:
        """The hub is given what the IdP publishes now."""
        self.connection = configuration.change_connection(
            connection=self.connection,
            changes={"idp_metadata": self.idp.metadata()},
            actor=OPERATOR,
            reason="As agreed",
            new_keys_known=True,
        )

    def hire(self, given_name: str) -> Person:
        person = Person(
            uid=given_name.lower(),
            mail=f"{given_name.lower()}@{DOMAIN}",
            given_name=given_name,
            family_name="Real",
            number=f"n-{given_name.lower()}",
        )
        self.idp.enrol(person)
        return person

    def last_reason(self) -> str:
        """The reason of the newest login attempt."""
        return str(LoginAttempt.objects.order_by("-at").values_list("reason", flat=True)[0])


def introduced(sites: Sites) -> Pair:
    sites.idp.behave()
    connection = extend(make_tenant("corp", DOMAIN), name="SimpleSAMLphp").connection
    pair = Pair(sites=sites, connection=connection)
    pair.idp.meet(pair.metadata())
    pair.learn()
    return pair


@dataclass(slots=True, kw_only=True)
class Visitor:
    """A browser without scripts, in plain HTTP: follows redirects, sends the forms it gets."""

    pair: Pair
    session: requests.Session = field(init=False)

    def __post_init__(self) -> None:
        self.session = local_session(self.pair.sites.pem)

    def forget_the_hub(self) -> None:
        self.session.cookies.clear(domain=HUB_HOST)

    def open(self, url: str) -> requests.Response:
        return self.carry(self.session.get(url, timeout=30))

    def carry(self, page: requests.Response) -> requests.Response:
        """Sends on every form that only carries a message from one site to the other."""
        while (form := _form(page, "SAMLRequest", "SAMLResponse")) is not None:
            page = self.send(page, form)
        return page

    def send(self, page: requests.Response, form: html.FormElement, **fields: str) -> requests.Response:
        origin = "/".join(page.url.split("/")[:3])
        return self.session.request(
            form.method,
            form.action,
            data={**dict(form.form_values()), **fields},
            headers={"Origin": origin, "Referer": page.url},
            timeout=30,
        )

    def give_password(self, page: requests.Response, person: Person) -> requests.Response:
        """Fills the IdP's form; the page on which that ends."""
        form = _form(page, "password")
        assert form is not None, f"{page.url.partition('?')[0]} asks for no password: {page.status_code}"
        return self.carry(self.send(page, form, username=person.uid, password=PASSWORD))

    def sign_in(self, person: Person, following: str = "") -> requests.Response:
        return self.give_password(self.open(self.pair.start(following)), person)

    def sign_out(self) -> requests.Response:
        """Presses the button on My account."""
        account = self.session.get(f"{self.pair.hub}/me/", timeout=30)
        form = _form(account, "csrfmiddlewaretoken")
        assert form is not None, account.url
        return self.carry(self.send(account, form))

    def me(self) -> tuple[int, dict[str, Any]]:
        answer = self.session.get(f"{self.pair.hub}/me/", headers={"Accept": "application/json"}, timeout=30)
        return answer.status_code, answer.json()


def asks_for_password(page: requests.Response) -> bool:
    return _form(page, "password") is not None


def _form(page: requests.Response, *fields: str) -> html.FormElement | None:
    """The page's first form that has one of these fields."""
    if "html" not in page.headers.get("Content-Type", "") or not page.text.strip():
        return None
    document = html.fromstring(page.content, base_url=page.url)
    document.make_links_absolute()
    return next((form for form in document.forms if {*fields} & {*form.fields}), None)
