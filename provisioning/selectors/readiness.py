"""How far a connection's set-up has come: gathers the facts that `decision.readiness` judges."""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.db.models import Q

from provisioning.decision.readiness import Acceptance, Facts, Item, Judged, TestFacts, judge_readiness
from provisioning.decision.reasons import DEACTIVATIONS
from provisioning.idp_metadata import Idp, Unusable, describe
from provisioning.models import AuditRecord, Connection, Proof, Roster, RosterSource
from provisioning.selectors.connections import granted_domains
from provisioning.selectors.credentials import has_credential

LISTED_WITHIN = timedelta(days=7)
"""So old a listing still shows that the next one can be had."""
MAPPING_FIELDS = (
    "idp_entity_id",
    "attribute_map",
    "attribute_rules",
    "user_name_attribute",
    "external_id_attribute",
    "group_attribute",
    "required_attributes",
    "jit_attributes",
    "name_id_format",
    "authn_contexts",
    "force_authn",
)
"""What a test login asks for and judges by: where one of these changed, it has to be repeated.

The IdP's keys are not among them: a rollover that a known key vouches for asks for no test.
"""


def readiness(connection: Connection, at: datetime) -> list[Judged]:
    return judge_readiness(facts_of(connection, at))


def mapping_digest(connection: Connection) -> str:
    said = {name: getattr(connection, name) for name in MAPPING_FIELDS}
    return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()


def facts_of(connection: Connection, at: datetime) -> Facts:
    idp = _idp(connection)
    certificates = idp.certificates if idp else ()
    begun = idp.begun_at(at) if idp else ()
    rows = Proof.objects.filter(tenant_id=connection.tenant_id, connection=connection)
    proven = {Item(row.item): row for row in rows if not row.accepted}
    tested, signed_out = proven.get(Item.MAPPING), proven.get(Item.SIGN_OUT)
    return Facts(
        at=at,
        has_saml=bool(connection.idp_metadata),
        certificate_ends=max((certificate.ends for certificate in begun), default=None),
        metadata_ends=connection.metadata_valid_until,
        certificates_left_out=" ".join(idp.left_out) if idp else "",
        certificate_begins=min((certificate.begins for certificate in certificates), default=None),
        domains=granted_domains(connection),
        required_attributes=connection.required_attributes,
        mapping=mapping_digest(connection),
        test=_test(tested.facts, tested.at) if tested else None,
        takes_pushes=connection.scim_enabled and has_credential(connection, at),
        pushed_at=connection.last_push_at,
        listed_at=_listed(connection, at),
        idp_takes_sign_out=bool(idp and idp.sign_out),
        # What another IdP has shown says nothing of this one.
        signed_out_at=signed_out.at
        if signed_out and signed_out.facts.get("idp") == connection.idp_entity_id
        else None,
        deactivated=_deactivated(connection),
        accepted={
            Item(row.item): Acceptance(by=_name(row), reason=row.reason, at=row.at)
            for row in rows
            if row.accepted
        },
    )


def _name(row: Proof) -> str:
    kind, _, name = row.by.partition(":")
    return f"the operator {name}".strip() if kind == "command" else f"administrator {name}"


def _idp(connection: Connection) -> Idp | None:
    try:
        return describe(connection.idp_metadata) if connection.idp_metadata else None
    except Unusable:
        return None


def _test(facts: Mapping[str, Any], at: datetime) -> TestFacts:
    return TestFacts(
        at=at,
        mapping=facts["mapping"],
        passed=facts["passed"],
        verdicts=facts["verdicts"],
        key=facts["key"],
    )


def _listed(connection: Connection, at: datetime) -> datetime | None:
    mine = Q(tenant_id=connection.tenant_id, connection=connection)
    source = RosterSource.objects.filter(mine, scheduled=True).first()
    if source is None:
        return None
    complete = Roster.objects.filter(mine, source=source.kind, status=Roster.Status.COMPLETE)
    last: Roster | None = (
        complete.filter(completed_at__gte=at - LISTED_WITHIN).order_by("-completed_at").first()
    )
    return last.completed_at if last else None


def _deactivated(connection: Connection) -> bool:
    # Not whether somebody is inactive now: whoever was tried is enabled again, and some come inactive.
    return AuditRecord.objects.filter(
        tenant_id=connection.tenant_id, connection_id=connection.pk, reason__in=DEACTIVATIONS
    ).exists()
