"""The life of one test login: begun by an administrator, brought through the IdP by a browser, reported.

Knows requests and the order of things; what is judged is `rehearsal`'s matter. No trial opens a session.
"""

import hashlib
import secrets
from datetime import timedelta
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from identity_hub.core.clock import now
from provisioning.decision.readiness import Item
from provisioning.decision.types import Actor
from provisioning.idp_metadata import Unusable, describe
from provisioning.models import Connection
from provisioning.services import configuration, setup
from provisioning.services.invalid import Invalid

from . import client
from .assertion import NameId, read_logout_answer
from .browser import mark
from .client import Incoming
from .models import TestLogin
from .refusal import Refusal, Refused, refuse
from .rehearsal import rehearse

COOKIE = "hub_test"
LIFE = timedelta(hours=1)


class Over(Exception):
    """The trial is unknown, answered or older than an hour, or its connection cannot be tried now."""


def open_trial(connection: Connection, *, actor: Actor) -> tuple[TestLogin, str]:
    """A trial, and the token by which a browser begins it."""
    token, at = secrets.token_urlsafe(32), now()
    trial = TestLogin.objects.create(
        tenant_id=connection.tenant_id,
        connection=connection,
        token_digest=_digest(token),
        started_by=actor.signature,
        created_at=at,
        expires_at=at + LIFE,
    )
    return trial, token


def address_of(connection: Connection, token: str) -> str:
    """The page that begins the trial, in whichever browser opens it."""
    return reverse("saml:test", args=[connection.pk, token])


def waits(connection: Connection, token: str) -> TestLogin:
    """The trial that this token may still begin. Raises Over."""
    trial = _named(connection, token)
    if (
        trial is None
        or trial.finished_at is not None
        or connection.status not in (Connection.Status.DRAFT, Connection.Status.ACTIVE)
    ):
        raise Over
    return trial


def begin(connection: Connection, token: str) -> client.Outgoing:
    """Asks the IdP. Raises Over, client.NotConfigured."""
    trial = waits(connection, token)
    request = client.start_login(connection)
    trial.request_id, trial.asked_at = request.id, now()
    trial.save(update_fields=["request_id", "asked_at"])
    return request


def remember(response: HttpResponse, token: str) -> None:
    mark(response, COOKIE, token, LIFE)


def of_browser(request: HttpRequest, connection_id: UUID) -> TestLogin | None:
    """The trial that this browser carries; None for nearly everybody, without asking the database."""
    token = request.COOKIES.get(COOKIE, "")
    if not token:
        return None
    rows = TestLogin.objects.select_related("connection__tenant")
    found: TestLogin | None = rows.filter(
        connection_id=connection_id, token_digest=_digest(token), expires_at__gt=now()
    ).first()
    return found


def finish(trial: TestLogin, encoded: str) -> bool:
    """Keeps the report about the IdP's answer; False where it does not answer this trial's request.

    Raises client.NotConfigured.
    """
    if not trial.request_id or not client.answers(encoded, trial.request_id):
        return False
    if trial.finished_at is not None:
        return True  # the second half of a double click
    connection, at = trial.connection, now()
    assert trial.asked_at is not None
    report = rehearse(connection, encoded, request_id=trial.request_id, asked_at=trial.asked_at, at=at)
    trial.report, trial.passed, trial.finished_at = report.as_json(), report.passed, at
    trial.save(update_fields=["report", "passed", "finished_at"])
    setup.note_test(
        connection=connection,
        passed=report.passed,
        verdicts=report.verdicts,
        key=report.key,
        actor=Actor.who_signed(trial.started_by),
    )
    return True


def take_over(trial: TestLogin, *, reason: str, actor: Actor) -> None:
    """Sets the connection up as the hub proposes for the product that was recognised. Raises Invalid."""
    preset = trial.report.get("preset", {})
    if not preset.get("changes"):
        raise Invalid("preset", "Nothing is proposed: no product was recognised, or all is set up for it.")
    configuration.change_connection(
        connection=trial.connection,
        changes=preset["changes"],
        actor=actor,
        reason=reason,
    )


def can_sign_out(trial: TestLogin) -> bool:
    """Whether the trial began a session at the IdP that the IdP would end when it is asked."""
    if not trial.report.get("arrived", {}).get("name_id"):
        return False
    try:
        return bool(describe(trial.connection.idp_metadata).sign_out)
    except Unusable:
        return False


def begin_sign_out(trial: TestLogin) -> client.Outgoing | None:
    """The LogoutRequest for the session that the trial began at the IdP; None where the IdP takes none.

    Raises client.NotConfigured.
    """
    arrived = trial.report.get("arrived", {})
    if not arrived.get("name_id"):
        return None
    request = client.start_logout(
        trial.connection, NameId(**arrived["name_id"]), arrived.get("session_index", "")
    )
    if request is not None:
        trial.sign_out_request_id, trial.sign_out = request.id, {}
        trial.save(update_fields=["sign_out_request_id", "sign_out"])
    return request


def finish_sign_out(trial: TestLogin, incoming: Incoming) -> bool:
    """Judges the IdP's answer; False for what answers no request of this trial. Raises client.NotConfigured."""
    # Attack: any page can send this browser here with anything, and must not use up the one answer that counts.
    if not trial.sign_out_request_id or not incoming.answers(trial.sign_out_request_id):
        return False
    refusal = _signed_out(trial, incoming)
    trial.sign_out = {
        "reason": refusal.reason if refusal else "",
        "detail": dict(refusal.detail) if refusal else {},
    }
    trial.sign_out_request_id = ""
    trial.save(update_fields=["sign_out_request_id", "sign_out"])
    if refusal is None:
        setup.prove(connection=trial.connection, item=Item.SIGN_OUT, actor=Actor.who_signed(trial.started_by))
    return True


def _signed_out(trial: TestLogin, incoming: Incoming) -> Refusal | None:
    root = client.signed_message(trial.connection, incoming, "LogoutResponse")
    if isinstance(root, Refusal):
        return root
    try:
        answer = read_logout_answer(root)
    except Refused as refused:
        return refused.refusal
    if answer.issuer != trial.connection.idp_entity_id:
        return refuse("saml:issuer-foreign", expected=trial.connection.idp_entity_id, found=answer.issuer)
    if not answer.succeeded:
        return refuse("saml:idp-refused", status=" ".join(answer.status) or "none")
    return None


def result_of(trial: TestLogin) -> str:
    """Where the browser goes when the IdP has answered: an administrator's to the report, another's to a thank-you."""
    if Actor.who_signed(trial.started_by).kind == "identity":
        return reverse("admin:saml_sp_testlogin_change", args=[trial.pk])
    return reverse("saml:tested", args=[trial.connection_id])


def _named(connection: Connection, token: str) -> TestLogin | None:
    found: TestLogin | None = TestLogin.objects.filter(
        tenant_id=connection.tenant_id,
        connection=connection,
        token_digest=_digest(token),
        expires_at__gt=now(),
    ).first()
    return found


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
