"""A tenant's e-mail domains: claimed by its administrator, proved by a record in the DNS or by a superuser's word.

Knows what is looked for and what follows; how the DNS is asked is `core.dns`'s.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import F, Q

from identity_hub.core import dns
from identity_hub.core.allowance import Allowance
from identity_hub.core.clock import now
from provisioning import audit, domain_names, outbox
from provisioning.decision.reasons import Act, FindingKind
from provisioning.decision.types import Actor, Severity
from provisioning.models import Finding, Tenant, TenantDomain
from provisioning.selectors.connections import is_anothers

from . import questions
from .configuration import domain_name, is_operator
from .invalid import Invalid, needed_reason

ANOTHERS = "Another tenant has verified this domain. If it should be yours, ask whoever runs this hub."
UNPROVED_AT_MOST = 100
"""Of one tenant: what is claimed costs nothing, and the table is everybody's."""
CHECKS_A_MINUTE = 10
"""Of one tenant. Each may keep a process waiting for as long as `core.dns` waits."""

EVERY = timedelta(days=1)
"""How often a proved domain's record is looked for again."""
MISSED = timedelta(days=7)
"""How long it may be away before somebody is asked: zones are moved, and mended, within days."""
_SHOWN = 80

_checks = Allowance("domain-checks")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """`sentence` says what was looked for and what was found."""

    found: bool
    sentence: str


def claim_domain(*, tenant: Tenant, domain: str, actor: Actor, reason: str) -> TenantDomain:
    """An unproved domain with its challenge; one that the tenant has already comes back as it is."""
    reason = needed_reason(reason, "Say in writing why the organisation needs it.")
    name = domain_name(domain)
    if domain_names.is_shared(name) and not is_operator(actor):
        raise Invalid("domain", f"Anybody may have an address at {name}, so it cannot be one organisation's.")
    if is_anothers(name, tenant.pk):
        raise Invalid("domain", ANOTHERS)
    with transaction.atomic():
        unproved = TenantDomain.objects.filter(tenant=tenant, verified_at__isnull=True)
        if unproved.exclude(domain=name).count() >= UNPROVED_AT_MOST:
            raise Invalid("domain", "Too many domains wait for their proof; prove or remove some first.")
        row, created = TenantDomain.objects.get_or_create(tenant=tenant, domain=name)
        if created:
            audit.record_act(Act.TENANT_DOMAIN_ADDED, row, actor=actor, why=reason, changes=_told_of(row))
    return row


def check_domain(*, domain: TenantDomain, actor: Actor) -> Checked:
    """Asks the DNS for the domain's record, and verifies the domain where it is there."""
    if seconds := _checks.take(domain.tenant_id, CHECKS_A_MINUTE):
        raise Invalid("domain", f"The DNS was asked often enough for now; try again in {seconds} seconds.")
    answer = dns.texts_at(domain.record_name)
    found = _is_there(domain, answer)
    with transaction.atomic():
        row = _locked(domain)
        _note(row, answer, now())
        if found and row.verified_at is None:
            # Whoever asked for it says nothing: the record in the DNS does.
            _verify(row, "dns", actor, None)
    return Checked(found=found, sentence=_told(domain, answer))


def confirm_domain(*, domain: TenantDomain, reason: str, actor: Actor) -> TenantDomain:
    """A superuser, or whoever runs the hub's commands, vouches where there is no DNS to ask."""
    if not is_operator(actor):
        raise Invalid("domain", "Only an installation superuser can confirm a domain by hand.")
    reason = needed_reason(reason, "Say how you know that the domain is this organisation's.")
    with transaction.atomic():
        row = _locked(domain)
        if row.verified_at is None:
            _verify(row, "operator" if actor.kind == "command" else "superuser", actor, reason)
    return row


def remove_domain(*, domain: TenantDomain, reason: str, actor: Actor) -> None:
    """From now on it is nobody's: no connection of the tenant speaks for it, and another tenant may prove it."""
    reason = needed_reason(reason)
    with transaction.atomic():
        row = _locked(domain)
        _forget(row, now())
        audit.record_act(Act.TENANT_DOMAIN_REMOVED, row, actor=actor, why=reason, changes=_told_of(row))
        row.delete()


def look_again(*, at: datetime, at_most: int = 200) -> list[Finding]:
    """Looks for the records of domains of every tenant that the DNS proved, those first that wait longest.

    Nothing is taken back by itself: a zone that its provider lost for a week must not lock an organisation out. A
    record that stays away becomes a finding, which closes itself when the record is back. Answers what was opened.
    """
    due = TenantDomain.objects.filter(
        Q(checked_at__lte=at - EVERY) | Q(checked_at=None), verified_at__isnull=False, verified_how="dns"
    ).order_by(F("checked_at").asc(nulls_first=True), "pk")[:at_most]
    opened = []
    for domain in due:
        answer = dns.texts_at(domain.record_name)
        with transaction.atomic():
            row = (
                TenantDomain.objects.select_for_update().filter(tenant=domain.tenant_id, pk=domain.pk).first()
            )
            if row is not None:
                _note(row, answer, at)
                opened += _ask(row, answer, at)
    return opened


def _is_there(domain: TenantDomain, answer: dns.Answer) -> bool:
    return domain.record_value in (text.strip() for text in answer.texts)


def _locked(domain: TenantDomain) -> TenantDomain:
    row: TenantDomain | None = (
        TenantDomain.objects.select_for_update().filter(tenant_id=domain.tenant_id, pk=domain.pk).first()
    )
    if row is None:
        raise Invalid("domain", "This domain was removed meanwhile.")
    return row


def _note(row: TenantDomain, answer: dns.Answer, at: datetime) -> None:
    row.checked_at = at
    if _is_there(row, answer):
        row.record_seen_at = at
        _forget(row, at)
    row.save(update_fields=["checked_at", "record_seen_at"])


def _verify(row: TenantDomain, how: str, actor: Actor, reason: str | None) -> None:
    row.verified_at, row.verified_how = now(), how
    try:
        with transaction.atomic():
            row.save(update_fields=["verified_at", "verified_how"])
    except IntegrityError:
        raise Invalid("domain", ANOTHERS) from None
    told = _told_of(row, how=how)
    audit.record_act(Act.TENANT_DOMAIN_VERIFIED, row, actor=actor, why=reason, changes=told)


def _told(domain: TenantDomain, answer: dns.Answer) -> str:
    name = domain.record_name
    if _is_there(domain, answer):
        return f"The record was found at {name}: {domain.domain} is verified."
    looked = f"Looked for the TXT record {domain.record_value} at {name}"
    match answer.outcome:
        case dns.Outcome.NO_NAME:
            return f"{looked}; the DNS knows no such name. A new record may take an hour to be seen."
        case dns.Outcome.NO_TEXT:
            return f"{looked}; the name exists, but has no TXT record."
        case dns.Outcome.SILENT:
            return f"{looked}; nobody answered within {dns.SECONDS:.0f} seconds. Please try again."
        case dns.Outcome.FAILED:
            return f"{looked}; the name servers could not answer. Please see whether the domain's DNS works."
    shown = answer.texts[0][:_SHOWN] + ("…" if len(answer.texts[0]) > _SHOWN else "")
    others = len(answer.texts) - 1
    more = f" and {others} more" if others else ""
    return f"{looked}; found “{shown}”{more} instead."


def _ask(row: TenantDomain, answer: dns.Answer, at: datetime) -> list[Finding]:
    seen = row.record_seen_at or row.verified_at
    if not answer.definite or seen is None or at - seen < MISSED:
        return []
    # Of one absence one question, whatever a person answered to it; the next absence asks anew.
    finding = Finding(
        tenant_id=row.tenant_id,
        kind=FindingKind.DOMAIN_RECORD_GONE,
        severity=Severity.MEDIUM.value,
        evidence={
            "domain": row.domain,
            "looked_for": row.record_value,
            "at": row.record_name,
            "last_seen": seen.isoformat(),
            "told": _told(row, answer),
        },
        fingerprint=f"{row.pk.hex}:{seen:%Y%m%d%H%M}",
        opened_at=at,
    )
    known = Finding.objects.filter(tenant_id=row.tenant_id, fingerprint=finding.fingerprint)
    if known.exclude(status=Finding.Status.OBSOLETE).exists():
        return []
    finding.save(force_insert=True)
    questions.record(row.tenant_id, Act.FINDING_OPENED, [(finding.kind, finding.pk)], at)
    outbox.enqueue([("finding.opened", {"finding": str(finding.pk)}, row.tenant_id)])
    return [finding]


def _forget(row: TenantDomain, at: datetime) -> None:
    """Closes the question about a record that is back, or about a domain that goes."""
    open_ones = Finding.objects.filter(
        tenant_id=row.tenant_id,
        kind=FindingKind.DOMAIN_RECORD_GONE,
        status=Finding.Status.OPEN,
        fingerprint__startswith=f"{row.pk.hex}:",
    )
    questions.close(row.tenant_id, open_ones, at, because="The domain is looked after again.")


def _told_of(row: TenantDomain, **more: str) -> list[dict[str, str]]:
    # The row may be gone when somebody reads this.
    return [{"change": "domain", "domain": row.domain, **more}]
