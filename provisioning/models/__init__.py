"""The domain's tables. Rules live in `decision`, writes in `services`."""

from .connections import Connection, ConnectionDomain, ScimClient, ScimToken, Scope
from .groups import AssertedGroup, DirectoryGroup, Entitlement, EntitlementMapping, Membership
from .merges import Merge
from .people import Account, Alias, Hold, Identity, Override, Tombstone
from .proofs import Proof
from .records import AuditRecord, AuditValue, Distinction, Finding, OutboxMessage
from .requests import ScimRequest
from .roster_sources import RosterSource
from .rosters import Roster, RosterPart, RosterRow
from .runs import ReconciliationItem, ReconciliationRun
from .schemas import DataResource, SchemaAttribute, SchemaExtension
from .sessions import OpenSession, Session
from .tenancy import Tenant, TenantDomain

__all__ = [
    "Account",
    "Alias",
    "AssertedGroup",
    "AuditRecord",
    "AuditValue",
    "Connection",
    "ConnectionDomain",
    "DataResource",
    "DirectoryGroup",
    "Distinction",
    "Entitlement",
    "EntitlementMapping",
    "Finding",
    "Hold",
    "Identity",
    "Membership",
    "Merge",
    "OpenSession",
    "OutboxMessage",
    "Override",
    "Proof",
    "ReconciliationItem",
    "ReconciliationRun",
    "Roster",
    "RosterPart",
    "RosterRow",
    "RosterSource",
    "SchemaAttribute",
    "SchemaExtension",
    "ScimClient",
    "ScimRequest",
    "ScimToken",
    "Scope",
    "Session",
    "Tenant",
    "TenantDomain",
    "Tombstone",
]
