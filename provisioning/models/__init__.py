"""The domain's tables. Rules live in `decision`, writes in `services`."""

from .connections import Connection, ConnectionDomain, ScimToken
from .groups import DirectoryGroup, Entitlement, EntitlementMapping, Membership
from .people import Account, Alias, Hold, Identity, Tombstone
from .records import AuditRecord, AuditValue, Finding, OutboxMessage
from .runs import ReconciliationItem, ReconciliationRun
from .sessions import Session
from .tenancy import Tenant, TenantDomain

__all__ = [
    "Account",
    "Alias",
    "AuditRecord",
    "AuditValue",
    "Connection",
    "ConnectionDomain",
    "DirectoryGroup",
    "Entitlement",
    "EntitlementMapping",
    "Finding",
    "Hold",
    "Identity",
    "Membership",
    "OutboxMessage",
    "ReconciliationItem",
    "ReconciliationRun",
    "ScimToken",
    "Session",
    "Tenant",
    "TenantDomain",
    "Tombstone",
]
