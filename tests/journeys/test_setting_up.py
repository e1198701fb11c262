"""From a draft to a connection that people use: a test login, a test sign-out and activation, with a real IdP."""

from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from lxml import html

from identity_hub.core.clock import now
from provisioning.models import Account, Connection, Identity
from provisioning.selectors.readiness import readiness
from provisioning.services import configuration
from saml_sp import trial
from saml_sp.models import TestLogin
from tests.provisioning.cast import OPERATOR

from .pair import Pair, Visitor

pytestmark = [pytest.mark.journey, pytest.mark.slow]

PASSWORD = "a long enough password"


class Administrator(Visitor):
    """Somebody who works in the admin, with a browser that may also visit the IdP."""

    def enter(self) -> None:
        configuration.create_local_identity(
            login_name="boss",
            password=PASSWORD,
            tenant=self.pair.connection.tenant,
            tenant_administrator=True,
            actor=OPERATOR,
            reason="As agreed",
        )
        page = self.session.get(f"{self.pair.hub}/admin/login/", timeout=30)
        self.answer(page, username="boss", password=PASSWORD)

    def act(self, action: str, **fields: str) -> requests.Response:
        """Opens a page of the connection that asks a question, and says yes."""
        address = f"{self.pair.hub}/admin/provisioning/connection/{self.pair.connection.pk}/{action}/"
        return self.answer(self.session.get(address, timeout=30), **fields)

    def answer(self, page: requests.Response, **fields: str) -> requests.Response:
        """Sends the page's own question back to it; its other forms go elsewhere."""
        here = ("", urlsplit(page.url).path)
        form = next(
            one
            for one in html.fromstring(page.content).forms
            if one.method == "POST" and (one.action or "").partition("?")[0] in here
        )
        form.action = page.url
        return self.carry(self.send(page, form, **fields))


def open_items(connection: Connection) -> list[str]:
    return [one.item.value for one in readiness(connection, now()) if one.is_open]


def test_a_draft_is_tried_proven_and_put_into_use(pair: Pair) -> None:
    Connection.objects.filter(pk=pair.connection.pk).update(status="draft")
    ada = pair.hire("Ada")
    assert Visitor(pair=pair).open(pair.start()).status_code == 403

    administrator = Administrator(pair=pair)
    administrator.enter()
    report = administrator.give_password(administrator.act("test-login"), ada)
    row = TestLogin.objects.get()
    assert report.url == f"{pair.hub}/admin/saml_sp/testlogin/{row.pk}/change/"
    assert "Every check passed" in report.text
    assert row.report["preset"]["code"] == "simplesamlphp"
    assert not Account.objects.exists()
    assert not Identity.objects.exclude(login_name="boss").exists()

    there = f"{pair.hub}/admin/saml_sp/testlogin/{row.pk}/sign-out/"
    ended = administrator.answer(administrator.session.get(there, timeout=30))
    row.refresh_from_db()
    assert (ended.url, row.sign_out) == (report.url, {"reason": "", "detail": {}})

    assert open_items(pair.connection) == ["lifecycle", "deactivation"]
    for item in ("lifecycle", "deactivation"):
        administrator.act(f"accept/{item}", reason="A trial of a week.")
    administrator.act("activate", reason="Monday.")
    pair.connection.refresh_from_db()
    assert pair.connection.status == "active"
    assert Visitor(pair=pair).sign_in(ada).url == f"{pair.hub}/me/"


def test_an_operator_needs_no_admin_to_have_it_proven(pair: Pair) -> None:
    Connection.objects.filter(pk=pair.connection.pk).update(status="draft")
    ada, colleague = pair.hire("Ada"), Administrator(pair=pair)
    _, token = trial.open_trial(pair.connection, actor=OPERATOR)
    asked = colleague.session.get(f"{pair.hub}{trial.address_of(pair.connection, token)}", timeout=30)
    tested = colleague.give_password(colleague.answer(asked), ada)
    assert tested.url == f"{pair.hub}/saml/{pair.connection.pk}/tested"
    ended = colleague.answer(tested)
    assert ended.url == tested.url
    assert "has ended its session" in ended.text
    assert open_items(pair.connection) == ["lifecycle", "deactivation"]


FAULTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "a transient NameID": (
        {"name_id": "transient"},
        "The person would be refused.",
        "login:subject-transient",
    ),
    "an encrypted assertion, signed as a whole": (
        {"signs": "response", "encrypts": "http://www.w3.org/2001/04/xmlenc#aes128-cbc"},
        "Every check passed",
        "login:account-created",
    ),
}


@pytest.mark.parametrize(("habits", "says", "reason"), FAULTS.values(), ids=FAULTS)
def test_the_report_says_what_a_login_would_come_to(
    pair: Pair, habits: dict[str, Any], says: str, reason: str
) -> None:
    pair.idp.behave(**habits)
    pair.learn()
    administrator = Administrator(pair=pair)
    administrator.enter()
    report = administrator.give_password(administrator.act("test-login"), pair.hire("Ada"))
    assert says in report.text
    assert TestLogin.objects.get().report["decision"]["reason"] == reason
