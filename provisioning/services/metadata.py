"""The life of an IdP's metadata: taken, refused, or kept aside while the connection is frozen.

Knows neither where a document comes from nor its signature; whoever offers one has looked at that.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.db import transaction

from identity_hub.core.certificates import Certificate
from identity_hub.core.clock import now
from identity_hub.core.outbound import Version
from provisioning import audit, outbox
from provisioning.decision.reasons import Act, FindingKind
from provisioning.decision.types import Actor, Severity
from provisioning.idp_metadata import Idp, Unusable, describe, require_usable
from provisioning.models import Connection, Finding
from provisioning.selectors.connections import IN_USE

from . import questions, setup
from .invalid import Invalid, needed_reason
from .name_ids import NameIds, bound, settle
from .operators import is_operator


class Taken(StrEnum):
    """What became of an offered document."""

    UNCHANGED = "unchanged"
    TAKEN = "taken"
    FROZEN = "frozen"


class Cause(StrEnum):
    """Why a document might be another IdP's."""

    ENTITY_ID = "entity-id"
    ALL_KEYS = "all-keys"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """How a document came: `kind` for the audit, and what its server calls this state of it."""

    kind: str
    version: Version = field(default_factory=Version)


UNSEEN = "Other metadata has come since you looked. Please look at it first."


def offered(document: str, *, at: datetime, wanted: str = "") -> Idp:
    """The IdP of a document that may be used. Raises `Invalid`."""
    try:
        idp = describe(document, wanted)
        require_usable(idp, at)
    except Unusable as error:
        raise Invalid("idp_metadata", str(error)) from None
    return idp


def fields_of(idp: Idp) -> dict[str, Any]:
    """What a connection keeps of a document. The IdP's name is read from it, so that the two never disagree."""
    return {
        "idp_metadata": idp.document,
        "idp_entity_id": idp.entity_id,
        "metadata_valid_until": idp.valid_until,
    }


def known_idp(connection: Connection) -> Idp | None:
    """What the connection's document says; None where it has none that can be read."""
    try:
        return describe(connection.idp_metadata) if connection.idp_metadata else None
    except Unusable:
        return None


def proposed_idp(connection: Connection) -> Idp | None:
    try:
        return describe(connection.proposed_metadata) if connection.proposed_metadata else None
    except Unusable:
        return None


def proposal_digest(connection: Connection) -> str:
    """Names what waits, so that nobody confirms one and gets another; "" where nothing can be read."""
    waiting = proposed_idp(connection)
    return waiting.substance[:16] if waiting else ""


def people_bound(connection: Connection, idp: Idp) -> int:
    """How many people's NameIDs a document asks about: those of the entityID that it replaces, if it does."""
    before = connection.idp_entity_id
    return bound(connection, before) if before and before != idp.entity_id else 0


def causes(connection: Connection, idp: Idp, at: datetime) -> list[Cause]:
    """What about a document would let somebody else vouch for this connection's people."""
    found = []
    if connection.idp_entity_id and idp.entity_id != connection.idp_entity_id:
        found.append(Cause.ENTITY_ID)
    known = known_idp(connection)
    if known is not None and (known.certificates or known.left_out):
        # The key counts: the same one in a certificate that was renewed is no new key. One that has ended and is
        # still listed vouches for nobody.
        keys = {certificate.key for certificate in known.certificates}
        if not any(certificate.key in keys for certificate in idp.good_at(at)):
            found.append(Cause.ALL_KEYS)
    return found


def offer_metadata(
    *,
    connection: Connection,
    document: str,
    at: datetime,
    actor: Actor,
    source: Source,
    reason: str | None,
    confirmed: bool = False,
    freezes: bool = False,
    name_ids: NameIds = NameIds.KEPT,
) -> Taken:
    """Takes a document, or says by `Invalid` why not. `at` is when it was read.

    One that might be another IdP's is taken for a connection in use only when a person has `confirmed` it; else it
    `freezes` the connection, or is refused. Nobody signs in through any other: it takes the document, and what a test
    showed of the IdP before counts no longer. With another entityID that is confirmed, `name_ids` says what becomes of
    the NameIDs that people are bound to; without a confirmation nothing does. `reason` is None for what an address
    gives that is followed anyway.
    """
    if reason is not None:
        reason = needed_reason(reason)
    with transaction.atomic():
        row = _locked(connection)
        idp = offered(document, at=at, wanted=row.idp_entity_id)
        if row.metadata_checked_at is not None and row.metadata_checked_at > at:
            # Another worker has read the address since then.
            return Taken.UNCHANGED
        waits = bool(row.proposed_metadata)
        if waits and not freezes:
            raise Invalid("idp_metadata", "Other metadata waits: first confirm or reject that.")
        known = known_idp(row)
        why = [] if confirmed else causes(row, idp, at)
        asks = bool(why) and row.status in IN_USE
        if asks and not freezes:
            raise Invalid("new_keys_known", _ASKED[why[0]])
        if asks:
            _refuse_rejected(row, idp)
            _freeze(row, known, idp, why, at, actor, source)
            outcome = Taken.FROZEN
        elif waits:
            outcome = Taken.FROZEN
        elif known is not None and known.substance == idp.substance:
            # Only dates and the signature are new: nobody needs to hear of it, nor build a client anew.
            _keep(row, fields_of(idp))
            outcome = Taken.UNCHANGED
        else:
            if row.status == Connection.Status.ACTIVE and not row.idp_entity_id and not is_operator(actor):
                # It was activated for pushes alone, so nothing that is about signing in was ever shown. A draft takes
                # pushes too.
                _keep(row, {"status": Connection.Status.DRAFT})
            said = name_ids if confirmed else None
            _take(row, known, idp, Act.METADATA_TAKEN, at, actor, source.kind, reason, said)
            if why:
                setup.forget_tests(row)
            outcome = Taken.TAKEN
        _keep(
            row,
            {
                **_checked(at),
                "metadata_etag": source.version.etag,
                "metadata_last_modified": source.version.last_modified,
            },
        )
    connection.refresh_from_db()
    return outcome


_ASKED = {
    Cause.ENTITY_ID: "This metadata names another entityID: it would let another identity provider sign in the "
    "connection's people. Confirm it if that is what you want.",
    Cause.ALL_KEYS: "None of the keys in this metadata was known before. Compare the certificates with the identity "
    "provider's own page, then confirm it.",
}


def note_unchanged(*, connection: Connection, at: datetime) -> None:
    """The address still gives the document that was seen last."""
    _keep(connection, _checked(at))


def note_failure(*, connection: Connection, problem: str, at: datetime) -> None:
    """The address gave nothing of use; what is in use stays so."""
    since = connection.metadata_failing_since or at
    _keep(
        connection,
        {"metadata_checked_at": at, "metadata_problem": problem[:500], "metadata_failing_since": since},
    )


def confirm(
    *,
    connection: Connection,
    reason: str,
    actor: Actor,
    seen: str,
    name_ids: NameIds = NameIds.KEPT,
) -> None:
    """Takes the document that waits, and lets people sign in again. `seen` is its `proposal_digest`.

    With another entityID, `name_ids` says what becomes of the NameIDs that people are bound to. Raises Invalid.
    """
    reason, at = needed_reason(reason), now()
    with transaction.atomic():
        row = _waiting(connection, seen)
        idp = offered(row.proposed_metadata, at=at)
        known = known_idp(row)
        _take(row, known, idp, Act.METADATA_CONFIRMED, at, actor, "proposal", reason, name_ids)
        _decided(row, Finding.Status.APPROVED, reason, at, actor)
    connection.refresh_from_db()


def reject(*, connection: Connection, reason: str, actor: Actor, seen: str) -> None:
    """Throws the waiting document away, remembers that, and lets people sign in by the old one. Raises Invalid."""
    reason, at = needed_reason(reason), now()
    with transaction.atomic():
        row = _waiting(connection, seen)
        idp = proposed_idp(row)
        # The address is read whole again: as long as it gives the same, that is the connection's problem.
        _keep(row, {"metadata_etag": "", "metadata_last_modified": ""})
        told = _change(_told(idp) if idp else {})
        audit.record_act(Act.METADATA_REJECTED, row, actor=actor, why=reason, changes=told, at=at)
        _decided(row, Finding.Status.REJECTED, reason, at, actor)
    connection.refresh_from_db()


def _locked(connection: Connection) -> Connection:
    # Without the key: whoever writes an account of the connection while its accounts are written here goes on.
    row: Connection = Connection.objects.select_for_update(no_key=True).get(
        pk=connection.pk, tenant_id=connection.tenant_id
    )
    return row


def _waiting(connection: Connection, seen: str) -> Connection:
    row = _locked(connection)
    if not row.proposed_metadata:
        raise Invalid("reason", "No metadata waits for a decision here.")
    if seen != proposal_digest(row):
        raise Invalid("reason", UNSEEN)
    return row


def _keep(row: Connection, fields: dict[str, Any]) -> None:
    """Writes only these: another column may have been written since the row was read."""
    for name, value in fields.items():
        setattr(row, name, value)
    Connection.objects.filter(tenant_id=row.tenant_id, pk=row.pk).update(**fields)


def _checked(at: datetime) -> dict[str, Any]:
    return {"metadata_checked_at": at, "metadata_problem": "", "metadata_failing_since": None}


def _take(
    row: Connection,
    known: Idp | None,
    idp: Idp,
    act: Act,
    at: datetime,
    actor: Actor,
    source: str,
    reason: str | None,
    name_ids: NameIds | None,
) -> None:
    before = row.idp_entity_id
    _keep(row, {**fields_of(idp), "config_version": row.config_version + 1})
    told = {"source": source, "status": row.status, "fields": _differing(known, idp), **_told(idp)}
    # Attack: a document that nobody looked at, which hands the people of one IdP to whoever published it.
    if name_ids is not None and before and before != idp.entity_id:
        accounts = settle(row, before=before, after=idp.entity_id, name_ids=name_ids)
        told["name_ids"] = {"are": name_ids.value, "accounts": accounts}
    audit.record_act(act, row, actor=actor, why=reason, changes=_change(told), at=at)


def _freeze(
    row: Connection,
    known: Idp | None,
    idp: Idp,
    why: list[Cause],
    at: datetime,
    actor: Actor,
    source: Source,
) -> None:
    if row.proposed_metadata == idp.document:
        return
    waiting = proposed_idp(row)
    if waiting is not None and waiting.substance == idp.substance:
        # New by its signature, ID or dates only: whoever looks at it decides about the same.
        _keep(row, {"proposed_metadata": idp.document})
        return
    fingerprint = _fingerprint(row, idp)
    earlier = _open_findings(row).first()
    evidence = {
        "causes": [cause.value for cause in why],
        "status": earlier.evidence["status"] if earlier else row.status,
        "before": _told(known) if known else {},
        "after": _told(idp),
        "source": source.kind,
    }
    _keep(row, {"proposed_metadata": idp.document, "status": Connection.Status.FROZEN})
    older = _open_findings(row).exclude(fingerprint=fingerprint)
    questions.close(row.tenant_id, older, at, because="Newer metadata has come.")
    if not _open_findings(row).update(evidence=evidence):
        finding = Finding.objects.create(
            tenant_id=row.tenant_id,
            connection_id=row.pk,
            kind=FindingKind.IDP_REPLACED,
            severity=Severity.HIGH.value,
            evidence=evidence,
            fingerprint=fingerprint,
            opened_at=at,
        )
        outbox.enqueue([("finding.opened", {"finding": str(finding.pk)}, row.tenant_id)])
    told = {"source": source.kind, "causes": evidence["causes"], **_told(idp)}
    # Whoever had the address read did not ask for this.
    audit.record_act(Act.CONNECTION_FROZEN, row, actor=actor, why=None, changes=_change(told), at=at)


def _refuse_rejected(row: Connection, idp: Idp) -> None:
    rejected = Finding.objects.filter(
        tenant_id=row.tenant_id,
        kind=FindingKind.IDP_REPLACED,
        fingerprint=_fingerprint(row, idp),
        status=Finding.Status.REJECTED,
    ).first()
    if rejected is not None:
        raise Invalid(
            "idp_metadata",
            f"The address gives the metadata that was rejected on {rejected.decided_at:%Y-%m-%d}; "
            "import it by hand if it is right after all.",
        )


def _decided(row: Connection, status: Any, reason: str, at: datetime, actor: Actor) -> None:
    found = _open_findings(row).first()
    # What an administrator has set since then stays; so does a connection that was frozen by hand before.
    before = found.evidence["status"] if found and row.status == Connection.Status.FROZEN else row.status
    _keep(row, {"proposed_metadata": "", "status": before})
    _open_findings(row).update(
        status=status, decided_at=at, decided_by=actor.signature, decision_reason=reason[:500]
    )


def _open_findings(row: Connection) -> Any:
    return Finding.objects.filter(
        tenant_id=row.tenant_id,
        connection_id=row.pk,
        kind=FindingKind.IDP_REPLACED,
        status=Finding.Status.OPEN,
    )


def _fingerprint(row: Connection, idp: Idp) -> str:
    """One question for one entityID with one set of keys, whatever else its document says."""
    said = "\0".join([idp.entity_id, *sorted(certificate.key for certificate in idp.certificates)])
    return f"{row.pk.hex}:{hashlib.sha256(said.encode()).hexdigest()[:31]}"


def _told(idp: Idp) -> dict[str, Any]:
    return {
        "entity_id": idp.entity_id,
        "certificates": [_certificate(certificate) for certificate in idp.certificates],
        "sign_in": list(idp.sign_in),
        "sign_out": list(idp.sign_out),
        **({"left_out": list(idp.left_out)} if idp.left_out else {}),
    }


def _certificate(certificate: Certificate) -> dict[str, str]:
    return {
        "subject": certificate.subject,
        "fingerprint": certificate.fingerprint,
        "ends": certificate.ends.isoformat(),
    }


def _differing(known: Idp | None, idp: Idp) -> list[str]:
    names = ("entity_id", "certificates", "sign_in", "sign_out")
    if known is None:
        return list(names)
    return [name for name in names if getattr(known, name) != getattr(idp, name)] or ["details"]


def _change(told: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"change": "metadata", **told}]
