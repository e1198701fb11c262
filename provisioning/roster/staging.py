"""From what a line says to its staged row, and what the staged rows tell of each other. Knows no source."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from uuid import UUID

from provisioning import sql
from provisioning.decision.authority import resource_of_profile
from provisioning.decision.keys import fold
from provisioning.decision.reasons import RowFault
from provisioning.decision.types import Profile
from provisioning.fingerprints import FIELDS, fingerprint
from provisioning.models import Roster, RosterRow

from . import Fault, Values

_NAMES = tuple(name for name in FIELDS if name not in ("external_id", "active"))


def copy(roster: Roster, rows: Iterable[tuple[int, Values]]) -> None:
    """Writes a page's rows, which are made while the database keeps the first of them."""
    sql.copy(RosterRow, _staged(roster.tenant_id, roster.pk, "active" in roster.fields, rows))


def _staged(
    tenant_id: UUID, roster_id: UUID, says_active: bool, rows: Iterable[tuple[int, Values]]
) -> Iterator[sql.Row]:
    for line, values in rows:
        external_id, user_name, active, email, given, family, display, locale, zone, hr, department, title = (
            values
        )
        profile = Profile(
            user_name=user_name,
            email=email,
            given_name=given,
            family_name=family,
            display_name=display,
            locale=locale,
            time_zone=zone,
            hr_number=hr,
            department=department,
            title=title,
        )
        yield {
            "tenant_id": tenant_id,
            "roster_id": roster_id,
            "line": line,
            "user_name": user_name,
            "user_name_key": fold(user_name),
            "external_id": external_id or None,
            "hr_number": hr,
            "active": active,
            "email_keys": [fold(email)] if email else [],
            "fingerprint": fingerprint(
                external_id=external_id, user_name=user_name, active=active, profile=profile
            ),
            "document": document(profile, external_id, active if says_active else None),
        }


def document(profile: Profile, external_id: str, active: bool | None) -> dict[str, Any]:
    """The canonical SCIM User that a line makes: what the listing does not say is not in it."""
    resource = resource_of_profile(profile)
    if not profile.user_name:
        del resource["userName"]
    if active is None:
        del resource["active"]
    else:
        resource["active"] = active
    if external_id:
        resource["externalId"] = external_id
    return resource


# In two steps: without statistics of rows that have just come, the planner would count again for each of them.
_REPEATED = """
SELECT {column} FROM provisioning_rosterrow
 WHERE tenant_id = %(tenant)s AND roster_id = %(roster)s AND {column} <> ''
 GROUP BY {column} HAVING count(*) > 1 LIMIT %(limit)s
"""
_LINES = """
SELECT line FROM provisioning_rosterrow
 WHERE tenant_id = %(tenant)s AND roster_id = %(roster)s AND {column} = ANY(%(keys)s::text[])
 ORDER BY line LIMIT %(limit)s
"""


def duplicates(roster: Roster, columns: Sequence[str], at_most: int) -> list[Fault]:
    """Lines that share an externalId or a userName, the first ones. `columns` are those of FIELDS, for the faults."""
    faults = []
    for place, column, code in (
        (0, "external_id", RowFault.DUPLICATE_EXTERNAL_ID),
        (1, "user_name_key", RowFault.DUPLICATE_USER_NAME),
    ):
        asked = {"tenant": roster.tenant_id, "roster": roster.pk, "limit": at_most}
        keys = [key for (key,) in sql.rows(_REPEATED.format(column=column), asked, prepared=False)]
        if keys:
            asked["keys"] = sql.array(keys)
            found = sql.rows(_LINES.format(column=column), asked, prepared=False)
            faults += [Fault(line=line, code=code, column=columns[place]) for (line,) in found]
    return sorted(faults, key=lambda fault: fault.line)
