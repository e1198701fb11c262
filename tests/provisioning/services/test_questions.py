"""Whatever the hub itself closes stands in the audit, whichever of its parts closed it."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

import provisioning
from identity_hub.core.clock import now
from provisioning.decision.reasons import FindingKind
from provisioning.decision.types import Actor, Intent, Severity
from provisioning.models import AuditRecord, Finding, ScimToken, TenantDomain
from provisioning.services import domains, expiry, metadata, questions, retention, submit, tokens
from provisioning.services.questions import Question
from tests.saml_sp.idp import TestIdp, key_pair

from ..cast import OPERATOR, House, push, pushed, user

pytestmark = pytest.mark.django_db

SCHEDULE = Actor(kind="schedule")
Closer = Callable[[House], object]
CLOSERS: dict[str, Closer] = {}
"""What it is -> how it opens a finding and closes it."""


def closes(name: str) -> Callable[[Closer], Closer]:
    def kept(closer: Closer) -> Closer:
        CLOSERS[name] = closer
        return closer

    return kept


def leaver(where: House) -> Finding:
    """An open finding about an account that is deleted by now."""
    made = push(where, user(f"ada@{where.domain}", "e1"))
    finding = Finding.objects.create(
        tenant=where.tenant,
        connection=where.connection,
        account_id=made.account_id,
        kind=FindingKind.EMAIL_DOMAIN_CHANGED,
        severity=Severity.LOW,
        fingerprint="moved",
    )
    submit(pushed(where, Intent.DELETE, account_id=made.account_id))
    return finding


def ending(where: House) -> ScimToken:
    """A token of which a finding says that it ends tomorrow."""
    token, _ = tokens.issue_token(connection=where.connection, actor=OPERATOR, reason="As agreed", days=1)
    assert expiry.warn_of_expiry(at=now() + timedelta(hours=1))
    return token


@closes("a look that does not find the case any more")
def a_look(where: House) -> object:
    kind = FindingKind.CONNECTION_STALE
    question = Question(kind=kind, severity=Severity.LOW, mark="x", connection_id=where.connection.pk)
    questions.ask(where.tenant.pk, [kind], [question], now())
    return questions.ask(where.tenant.pk, [kind], [], now())


@closes("a look at what a push has asked, after the account was deleted")
def a_look_at_what_is_over(where: House) -> object:
    leaver(where)
    return questions.close_those_over(where.tenant.pk, now())


@closes("the end of a deleted person's data")
def a_purge(where: House) -> object:
    leaver(where)
    return retention.purge_deleted(at=now() + timedelta(days=91), actor=SCHEDULE)


@closes("the end of a token")
def a_tokens_end(where: House) -> object:
    ending(where)
    return expiry.warn_of_expiry(at=now() + timedelta(days=2))


@closes("the rotation of a token")
def a_rotation(where: House) -> object:
    return tokens.rotate_token(token=ending(where), actor=OPERATOR, reason="It ends")


@closes("the revocation of a token")
def a_revocation(where: House) -> object:
    return tokens.revoke_token(token=ending(where), actor=OPERATOR, reason="It is lost")


@closes("newer metadata")
def newer_metadata(where: House) -> None:
    for n, name in enumerate(("corp", "new", "newer")):
        idp = TestIdp(entity_id="https://idp.example", keys=key_pair(name))
        metadata.offer_metadata(
            connection=where.connection,
            document=idp.metadata(),
            at=now(),
            actor=OPERATOR,
            source=metadata.Source(kind="address"),
            reason=None,
            freezes=n > 0,
        )
    assert Finding.objects.filter(status="open").count() == 1


@closes("the end of a domain")
def a_domains_end(where: House) -> None:
    domain = TenantDomain.objects.get(tenant=where.tenant)
    Finding.objects.create(
        tenant=where.tenant,
        kind=FindingKind.DOMAIN_RECORD_GONE,
        severity=Severity.MEDIUM,
        fingerprint=f"{domain.pk.hex}:x",
    )
    domains.remove_domain(domain=domain, actor=OPERATOR, reason="It is sold")


@pytest.mark.parametrize("name", CLOSERS)
def test_what_the_hub_closes_itself_stands_in_the_audit(acme: House, name: str) -> None:
    CLOSERS[name](acme)
    finding = Finding.objects.get(status="obsolete")
    assert (finding.decided_by, finding.decided_at is None) == ("schedule:", False)
    assert finding.decision_reason.endswith(".")
    told = AuditRecord.objects.get(reason="finding:gone")
    assert (told.actor_kind, told.intent, told.object_id) == ("schedule", "close", finding.pk)
    assert told.changes == [{"change": "findings", "kind": finding.kind, "findings": [str(finding.pk)]}]


def test_there_is_one_way_to_close_what_nobody_has_decided() -> None:
    """But for an undo, which takes back what a run has asked: that is a person's act, with a record of its own."""
    root = Path(provisioning.__file__).parent
    closing = re.compile(r"""(status=|"status": )Finding\.Status\.OBSOLETE,""")
    assert {
        str(path.relative_to(root)) for path in root.rglob("*.py") if closing.search(path.read_text("utf-8"))
    } == {"services/questions.py", "apply.py"}
