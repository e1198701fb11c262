"""What a login reads and writes of this face's tables, in one prepared statement each. Knows no rule about them."""

from dataclasses import dataclass
from uuid import UUID

from provisioning import sql
from provisioning.models import Connection

from .models import ConsumedAssertion, LoginAttempt, PendingRequest

_PENDING = f"""
SELECT {sql.columns(PendingRequest, "p")}
  FROM saml_sp_pendingrequest p WHERE p.request_id = %s AND p.tenant_id = %s AND p.connection_id = %s
"""  # noqa: S608 - the model's own names


def pending_request(connection: Connection, request_id: str) -> PendingRequest | None:
    """The connection's own request of this ID."""
    found = sql.rows(_PENDING, (request_id, connection.tenant_id, connection.pk))
    return sql.instance(PendingRequest, found[0]) if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Whether the assertion counted now for the first time, and the request then too."""

    assertion: bool
    request: bool


# The insert waits for a transaction that is about to consume the same assertion; the update looks again at a request
# that another transaction has just answered. For the rest of the transaction each statement is planned once for the
# connection and not for its values: a login looks for one person by keys, and planning that cost more than doing it.
_SPEND = """
WITH spent AS (
    INSERT INTO saml_sp_consumedassertion
           (id, tenant_id, connection_id, key, message_digest, browser_digest, result_path, session_key,
            attempt_reference, created_at, expires_at)
    VALUES (%(id)s, %(tenant)s, %(connection)s, %(key)s, %(message)s, %(browser)s, '', '', '', %(at)s, %(until)s)
    ON CONFLICT DO NOTHING RETURNING id
), answered AS (
    UPDATE saml_sp_pendingrequest p SET consumed_at = %(at)s
     WHERE p.id = %(pending)s AND p.tenant_id = %(tenant)s AND p.consumed_at IS NULL AND EXISTS (SELECT FROM spent)
    RETURNING p.id
)
SELECT EXISTS (SELECT FROM spent), EXISTS (SELECT FROM answered),
       set_config('plan_cache_mode', 'force_generic_plan', true)
"""


def spend(consumed: ConsumedAssertion, pending_id: UUID | None) -> Spent:
    """Consumes an assertion and, where that succeeds, the request that it answers."""
    ((assertion, request, _),) = sql.rows(
        _SPEND,
        {
            "id": consumed.id,
            "tenant": consumed.tenant_id,
            "connection": consumed.connection_id,
            "key": consumed.key,
            "message": consumed.message_digest,
            "browser": consumed.browser_digest,
            "at": consumed.created_at,
            "until": consumed.expires_at,
            "pending": pending_id,
        },
    )
    return Spent(assertion=assertion, request=request)


_ATTEMPT = tuple(field.column for field in LoginAttempt._meta.concrete_fields)
_KEEP = f"""
WITH told AS (
    INSERT INTO saml_sp_loginattempt ({", ".join(f'"{name}"' for name in _ATTEMPT)})
    SELECT {sql.selected(LoginAttempt, _ATTEMPT)} FROM {sql.recordset(LoginAttempt, _ATTEMPT)}
)
UPDATE saml_sp_consumedassertion SET result_path = %s, session_key = %s, attempt_reference = %s
 WHERE tenant_id = %s AND id = %s
"""  # noqa: S608 - the model's own names


def keep(attempt: LoginAttempt, consumed: ConsumedAssertion) -> None:
    """Writes down how the login ended that consumed this assertion, also where a double click looks for it."""
    ending = (consumed.result_path, consumed.session_key, attempt.reference)
    sql.execute(_KEEP, (sql.as_json([sql.row(attempt)]), *ending, consumed.tenant_id, consumed.id))
