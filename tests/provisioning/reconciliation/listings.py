"""Complete rosters, as a file with these lines would have left them. Knows no file."""

from datetime import datetime
from typing import Any

from identity_hub.core.clock import now
from provisioning.decision.authority import resource_of_profile
from provisioning.decision.keys import fold
from provisioning.decision.types import Profile
from provisioning.fingerprints import fingerprint
from provisioning.models import Roster, RosterRow

from ..cast import House

FIELDS = ["external_id", "user_name", "active", "email", "given_name", "family_name"]


def line(
    user_name: str, external_id: str | None = None, *, active: bool = True, **profile: str
) -> dict[str, Any]:
    """What a line says; by default of somebody as `cast.user` says it."""
    profile = {"email": user_name, "given_name": "Ada", "family_name": "Example"} | profile
    return {"user_name": user_name, "external_id": external_id, "active": active, "profile": profile}


def roster(
    where: House,
    *lines: dict[str, Any],
    as_of: datetime | None = None,
    fields: list[str] = FIELDS,
    status: str = Roster.Status.COMPLETE,
) -> Roster:
    made = Roster.objects.create(
        tenant=where.tenant,
        connection=where.connection,
        source="csv",
        status=status,
        as_of=as_of or now(),
        completed_at=now(),
        row_count=len(lines),
        fields=fields,
        requested_by="command:tests",
    )
    RosterRow.objects.bulk_create(_row(made, number, **said) for number, said in enumerate(lines, 2))
    return made


def _row(
    made: Roster,
    number: int,
    *,
    user_name: str,
    external_id: str | None,
    active: bool,
    profile: dict[str, str],
) -> RosterRow:
    said = Profile(user_name=user_name, **profile)
    document = resource_of_profile(said) | {"active": active}
    if external_id:
        document["externalId"] = external_id
    return RosterRow(
        tenant_id=made.tenant_id,
        roster_id=made.pk,
        line=number,
        user_name=user_name,
        user_name_key=fold(user_name),
        external_id=external_id,
        active=active,
        email_keys=[fold(said.email)] if said.email else [],
        fingerprint=fingerprint(external_id=external_id, user_name=user_name, active=active, profile=said),
        document=document,
    )
