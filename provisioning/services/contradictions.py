"""What is told of a signed assertion that contradicts itself, so that it cannot be asked about anybody.

Knows no rule of attributes; whoever read the assertion says what it said twice.
"""

from collections.abc import Mapping, Sequence

from identity_hub.core.clock import now
from identity_hub.core.request_id import current_request_id
from provisioning import audit
from provisioning.decision.types import Actor, Channel, Intent, Verdict
from provisioning.models import Connection


def note(*, connection: Connection, reason: str, detail: Mapping[str, str], found: Sequence[str]) -> int:
    """The id of the audit's record. `found`, values of a person, is beside it for 30 days (`retention.trim_found`)."""
    return audit.record(
        tenant_id=connection.tenant_id,
        at=now(),
        actor=Actor(kind="connection", id=str(connection.pk)),
        channel=Channel.SAML,
        intent=Intent.AUTHENTICATE,
        reason=reason,
        verdict=Verdict.REFUSED,
        request_id=current_request_id(),
        connection_id=connection.pk,
        changes=[{"change": "detail", **detail}],
        values={"found": audit.shortened(found)},
    )
