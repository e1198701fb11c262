"""Connections: by their opaque address, by a verified domain, by their tenant's, and the policy that decisions go by.

The first three are look-ups that find a tenant instead of taking one; docs/decisions/0008, 0012 and 0024 name all.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from django.db.models import Count, Exists, OuterRef, QuerySet, Subquery

from identity_hub.core.clock import now
from provisioning import sql
from provisioning.decision.policy import Jit, Policy, Switch
from provisioning.models import Account, Connection, ConnectionDomain, Tenant, TenantDomain

_BY_ADDRESS = f"""
SELECT {sql.columns(Connection, "c")}, {sql.columns(Tenant, "t")}
  FROM provisioning_connection c JOIN provisioning_tenant t ON t.id = c.tenant_id
 WHERE c.id = %s
"""  # noqa: S608 - the models' own names
_WIDTH = len(Connection._meta.concrete_fields)


def by_address(connection_id: UUID) -> Connection | None:
    """With its tenant."""
    for row in sql.rows(_BY_ADDRESS, (connection_id,)):
        found: Connection = sql.instance(Connection, row[:_WIDTH])
        found.tenant = sql.instance(Tenant, row[_WIDTH:])
        return found
    return None


IN_USE = (Connection.Status.ACTIVE, Connection.Status.FROZEN)
"""Admits people, or will when somebody has confirmed its metadata."""


def _set_up(*statuses: Any) -> QuerySet[Connection]:
    """As pages offer them; every tenant's."""
    rows = Connection.objects.select_related("tenant").filter(status__in=statuses)
    return rows.exclude(idp_metadata="").order_by("precedence", "name")


def by_domain(domain: str) -> list[Connection]:
    """Connections that a verified e-mail domain was granted to. Domains match exactly.

    One that is paused is found: its own page says so. So is one that is switched off, where there is no other.
    """
    found = _set_up(*IN_USE, Connection.Status.DISABLED).filter(
        granted_domains__domain__domain=domain.lower(),
        granted_domains__domain__verified_at__isnull=False,
    )
    return [one for one in found if one.status in IN_USE] or list(found)


def by_tenant_address(slug: str) -> list[Connection]:
    """All of a tenant in use. None for a slug that is no tenant's, as for a tenant that has none."""
    return list(_set_up(*IN_USE).filter(tenant__slug=slug))


def by_remembered(connection_id: UUID) -> Connection | None:
    """The connection that a browser remembers, while it takes logins."""
    return _set_up(Connection.Status.ACTIVE).filter(pk=connection_id).first()


def is_anothers(domain: str, tenant_id: UUID) -> bool:
    """Whether a domain is verified for another tenant than this one; whose it is, nobody is told."""
    others = TenantDomain.objects.exclude(tenant_id=tenant_id)
    return others.filter(domain=domain, verified_at__isnull=False).exists()


FOLLOWING = (*IN_USE, Connection.Status.DRAFT)
"""Reads its address: a disabled one speaks to nobody."""


def following() -> Iterator[tuple[UUID, UUID]]:
    """(tenant, connection) of every tenant's connections whose metadata has an address, but for disabled ones."""
    rows = Connection.objects.filter(status__in=FOLLOWING).exclude(metadata_url="")
    yield from rows.order_by("pk").values_list("tenant_id", "pk").iterator(chunk_size=500)


def followed(tenant_id: UUID, connection_id: UUID) -> Connection | None:
    return (
        Connection.objects.filter(tenant_id=tenant_id, pk=connection_id, status__in=FOLLOWING)
        .exclude(metadata_url="")
        .first()
    )


def with_metadata() -> Iterator[Connection]:
    """Every tenant's connections in use that have metadata or an address of it, tenant by tenant."""
    rows = Connection.objects.filter(status__in=IN_USE).exclude(idp_metadata="", metadata_url="")
    yield from rows.order_by("tenant_id", "pk").iterator(chunk_size=100)


def live_accounts() -> Subquery:
    """To annotate connections with: how many live accounts each has; null for none."""
    accounts = Account.objects.filter(
        tenant=OuterRef("tenant"), connection=OuterRef("pk"), deleted_at__isnull=True
    )
    return Subquery(accounts.order_by().values("connection").annotate(number=Count("pk")).values("number"))


def granted_domains(connection: Connection) -> frozenset[str]:
    return frozenset(
        ConnectionDomain.objects.filter(
            tenant_id=connection.tenant_id, connection=connection, domain__verified_at__isnull=False
        ).values_list("domain__domain", flat=True)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainState:
    """A domain of the tenant as one connection sees it. It counts for a login when it is verified and granted."""

    domain: str
    granted: bool
    verified_at: datetime | None
    verified_how: str
    """`dns`, `superuser`, `operator`; empty while nothing has proved it."""


def domain_states(connection: Connection) -> list[DomainState]:
    """Every domain of the connection's tenant, by name."""
    granted = ConnectionDomain.objects.filter(
        tenant_id=connection.tenant_id, connection=connection, domain=OuterRef("pk")
    )
    rows = TenantDomain.objects.filter(tenant_id=connection.tenant_id).annotate(granted=Exists(granted))
    return [
        DomainState(
            domain=row.domain,
            granted=row.granted,
            verified_at=row.verified_at,
            verified_how=row.verified_how,
        )
        for row in rows
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What one tenant's decisions go by: each connection's policy, and the tenant's digest key."""

    digest_key: bytes
    policies: dict[UUID, Policy]
    last_push: dict[UUID, datetime | None]


_RULES = """
SELECT n.digest_key, c.id, c.jit, c.jit_groups, c.jit_attributes, c.jit_approval, c.precedence, c.required_attributes,
       c.trusted_hr_number, c.trusted_email, c.retention_days,
       c.jit_grace_days, c.jit_idle_grace_days, c.last_push_at,
       ARRAY(SELECT d.domain FROM provisioning_connectiondomain granted
               JOIN provisioning_tenantdomain d ON d.tenant_id = granted.tenant_id AND d.id = granted.domain_id
              WHERE granted.tenant_id = n.id AND granted.connection_id = c.id AND d.verified_at IS NOT NULL),
       ARRAY(SELECT g.value FROM provisioning_assertedgroup g WHERE g.tenant_id = n.id AND g.connection_id = c.id),
       CASE WHEN c.scim_enabled AND c.first_push_at IS NOT NULL AND (
              EXISTS(SELECT FROM provisioning_scimtoken t
                      WHERE t.tenant_id = n.id AND t.connection_id = c.id AND t.revoked_at IS NULL
                        AND (t.expires_at IS NULL OR t.expires_at > asked.at))
              OR EXISTS(SELECT FROM provisioning_scimclient o
                         WHERE o.tenant_id = n.id AND o.connection_id = c.id AND o.revoked_at IS NULL))
            THEN c.first_push_at
            ELSE (SELECT min(r.as_of) FROM provisioning_roster r
                   WHERE r.tenant_id = n.id AND r.connection_id = c.id AND r.status IN ('complete', 'superseded')
                  HAVING count(*) > 1
                     AND max(r.as_of) FILTER (WHERE r.status = 'complete')
                         > asked.at - make_interval(days => c.jit_grace_days)) END,
       c.stopped,
       CASE WHEN c.strict_deactivations AND c.burst_deactivations > 0 THEN c.burst_deactivations - (
              SELECT count(*) FROM provisioning_hold h
                JOIN provisioning_account a ON a.tenant_id = h.tenant_id AND a.id = h.source_account_id
               WHERE h.tenant_id = n.id AND a.connection_id = c.id AND h.kind = 'scim'
                 AND left(h.placed_by, 6) = 'token:'
                 AND h.placed_at > greatest(%s::timestamptz - make_interval(mins => c.burst_deactivation_minutes),
                                            c.deactivations_counted_from)) END
  FROM provisioning_tenant n
 CROSS JOIN (SELECT %s::timestamptz AS at) asked
  LEFT JOIN provisioning_connection c ON c.tenant_id = n.id AND c.id = ANY(%s::uuid[])
 WHERE n.id = %s
"""


def rules(tenant_id: UUID, connection_ids: Iterable[UUID], *, at: datetime | None = None) -> Rules:
    """One statement. A connection of another tenant is not in the answer.

    `at` is when deactivations are counted, for those who decide about any.
    """
    return ask_rules(tenant_id, connection_ids, at=at)()


def ask_rules(
    tenant_id: UUID, connection_ids: Iterable[UUID], *, at: datetime | None = None
) -> Callable[[], Rules]:
    """`rules`, asked now and read when called."""
    answer = sql.ask(_RULES, (at, now(), list(connection_ids), tenant_id))
    return lambda: _rules(answer.rows())


def _rules(rows: list[tuple[Any, ...]]) -> Rules:
    policies: dict[UUID, Policy] = {}
    last_push: dict[UUID, datetime | None] = {}
    for row in rows:
        connection_id, jit, jit_groups, jit_attributes, approval, precedence, required = row[1:8]
        (
            hr_number,
            email,
            retention,
            grace,
            idle_grace,
            pushed_at,
            domains,
            groups,
            source_since,
            stopped,
            deactivations_left,
        ) = row[8:]
        if connection_id is None:
            continue
        last_push[connection_id] = pushed_at
        policies[connection_id] = Policy(
            jit=Jit(jit),
            jit_groups=frozenset(jit_groups),
            jit_approval=approval,
            jit_attributes={name: frozenset(values) for name, values in orjson.loads(jit_attributes).items()},
            precedence=precedence,
            required_attributes=tuple(required),
            domains=frozenset(domains),
            asserted_groups=frozenset(groups),
            trusted_hr_number=hr_number,
            trusted_email=email,
            retention=timedelta(days=retention),
            jit_grace=timedelta(days=grace),
            jit_idle_grace=timedelta(days=idle_grace),
            has_lifecycle_source=source_since is not None,
            source_since=source_since,
            stopped=frozenset(map(Switch, orjson.loads(stopped))),
            deactivations_left=deactivations_left,
        )
    return Rules(digest_key=bytes(rows[0][0]), policies=policies, last_push=last_push)
