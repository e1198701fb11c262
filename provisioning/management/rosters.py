"""How commands tell of a roster."""

from typing import Any

from provisioning.models import Roster


def told(roster: Roster) -> dict[str, Any]:
    return {
        "id": str(roster.pk),
        "connection": str(roster.connection_id),
        "status": roster.status,
        "code": roster.code,
        "note": roster.note,
        "source": roster.source,
        "name": roster.name,
        "as_of": roster.as_of.isoformat(),
        "started_at": roster.started_at.isoformat(),
        "completed_at": roster.completed_at.isoformat() if roster.completed_at else None,
        "rows": roster.row_count,
        "expected": roster.expected,
        "fields": roster.fields,
        "mapping": roster.mapping,
        "fault_count": roster.fault_count,
        "faults": roster.faults,
    }
