"""Writes of what administrators set up: tenants, connections, local identities, entitlements."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction
from django.db.models import F

from identity_hub.core import certificates, outbound
from identity_hub.core.clock import now
from identity_hub.core.ids import as_uuid
from identity_hub.core.text import all_keepable
from provisioning import attributes, audit, domain_names, presets
from provisioning.decision.keys import fold
from provisioning.decision.reasons import Act
from provisioning.decision.types import Actor
from provisioning.models import (
    AssertedGroup,
    Connection,
    ConnectionDomain,
    DirectoryGroup,
    Entitlement,
    EntitlementMapping,
    Identity,
    Tenant,
    TenantDomain,
)

from . import metadata
from .invalid import Invalid, needed_reason
from .operators import is_operator

CHANGEABLE = frozenset(
    {
        "name",
        "preset",
        "idp_metadata",
        "metadata_url",
        "metadata_signing_certificates",
        "attribute_map",
        "attribute_rules",
        "user_name_attribute",
        "external_id_attribute",
        "group_attribute",
        "groups_unconfirmed",
        "force_authn",
        "authn_contexts",
        "name_id_format",
        "idp_initiated",
        "session_hours",
        "session_idle_minutes",
        "required_attributes",
        "jit",
        "jit_groups",
        "jit_attributes",
        "jit_approval",
        "burst_creations",
        "burst_refusals",
        "precedence",
        "unknown_member",
        "trusted_email",
        "trusted_hr_number",
        "scim_enabled",
        "requests_per_minute",
        "retention_days",
        "jit_grace_days",
        "jit_idle_grace_days",
        "dormant_days",
        "stale_push_days",
        "run_few",
        "run_share",
        "run_most",
        "second_approver_over",
        "burst_deactivations",
        "burst_deactivation_minutes",
        "strict_deactivations",
    }
)

RUN_LIMITS = ("run_few", "run_share", "run_most")
MINUTES_OF_A_DAY = 24 * 60

ATTRIBUTES = frozenset(
    {"preset", "attribute_map", "attribute_rules", "user_name_attribute", "external_id_attribute"}
)


def create_tenant(*, slug: str, name: str, actor: Actor, reason: str, domains: Iterable[str] = ()) -> Tenant:
    """A tenant with the domains that the operator vouches for."""
    reason = needed_reason(reason)
    with transaction.atomic():
        tenant = Tenant(slug=slug, name=name)
        _save_new(tenant, "slug", "This short name is taken.")
        audit.record_act(Act.TENANT_CREATED, tenant, actor=actor, why=reason)
        for domain in domains:
            add_domain(tenant=tenant, domain=domain, how="operator", actor=actor, reason=reason)
    return tenant


def change_tenant(
    *,
    tenant: Tenant,
    actor: Actor,
    reason: str,
    name: str | None = None,
    limits: Mapping[str, int] | None = None,
) -> Tenant:
    """`limits`: what all runs of a day together may do without a person (`run_few`, `run_share`, `run_most`)."""
    reason = needed_reason(reason)
    wanted: dict[str, Any] = dict(limits or {}) | ({} if name is None else {"name": name})
    if strange := sorted(set(wanted) - {"name", *RUN_LIMITS}):
        raise Invalid(strange[0], f"A tenant has no changeable field {strange[0]!r}.")
    with transaction.atomic():
        row = Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
        changed = sorted(field for field, value in wanted.items() if getattr(row, field) != value)
        for field in changed:
            setattr(row, field, wanted[field])
        _checked(row)
        _braked(row)
        row.save(update_fields=changed)
        audit.record_act(Act.TENANT_CHANGED, row, actor=actor, why=reason, changes=_told(changed))
    return row


def _require_loosened_by_operator(limit: int | None, wanted: int | None, actor: Actor) -> None:
    """Attack: whom the limit binds would take it away, release alone and set it back."""
    if limit is not None and (wanted is None or wanted > limit) and not is_operator(actor):
        raise Invalid(
            "second_approver_over",
            "Only a superuser of this installation raises this number or takes it away.",
        )


def _braked(row: Connection | Tenant) -> None:
    """Numbers that can be kept together; the database refuses others, too."""
    if row.run_share > 100:
        raise Invalid("run_share", "A share is at most 100 percent.")
    if row.run_few > row.run_most:
        raise Invalid("run_few", f"This cannot be more than {row.run_most}, which no run may go beyond.")
    if isinstance(row, Connection) and not 1 <= row.burst_deactivation_minutes <= MINUTES_OF_A_DAY:
        raise Invalid("burst_deactivation_minutes", "Please give 1 to 1440 minutes.")


def domain_name(text: str) -> str:
    """A domain as it is kept. Raises Invalid for what is none."""
    name = domain_names.plain(text)
    if not domain_names.is_domain(name):
        how = "" if name.isascii() else " Write it in its xn-- form."
        raise Invalid("domain", f"{name!r} is not a domain name.{how}")
    return name


def add_domain(*, tenant: Tenant, domain: str, how: str, actor: Actor, reason: str) -> TenantDomain:
    """A verified domain; `how` says by whose word (`operator`, `superuser`, `dns`)."""
    reason = needed_reason(reason)
    domain = domain_name(domain)
    with transaction.atomic():
        known = TenantDomain.objects.filter(tenant=tenant, domain=domain).first()
        if known is not None and known.verified_at is not None:
            return known
        row = known or TenantDomain(tenant=tenant, domain=domain)
        row.verified_at, row.verified_how = now(), how
        _save_new(row, "domain", "Another tenant has verified this domain.")
        told = [{"change": "domain", "domain": domain, "how": how}]
        audit.record_act(Act.TENANT_DOMAIN_VERIFIED, row, actor=actor, why=reason, changes=told)
    return row


def create_connection(
    *,
    tenant: Tenant,
    name: str,
    actor: Actor,
    reason: str,
    idp_metadata: str = "",
    jit: str = "off",
    domains: Iterable[str] | None = None,
    status: str = "draft",
    **fields: Any,
) -> Connection:
    """A connection that may speak for `domains` (verified ones of the tenant; None means all of them).

    A draft, which `services.setup` activates; only an operator makes one in another status.
    """
    reason = needed_reason(reason)
    if status != Connection.Status.DRAFT and not is_operator(actor):
        raise Invalid("status", "A connection begins as a draft.")
    with transaction.atomic():
        row = Connection(tenant=tenant, name=name, jit=jit, status=status)
        said = metadata.fields_of(metadata.offered(idp_metadata, at=now())) if idp_metadata else {}
        for field, value in {**_allowed(fields), **said}.items():
            setattr(row, field, value)
        for field, value in presets.settings(row.preset).items():
            setattr(row, field, getattr(row, field) or value)
        _check_attributes(row)
        _limited(row)
        _braked(row)
        _save_new(row, "name", "The tenant has a connection of this name.")
        _grant(row, domains)
        audit.record_act(Act.CONNECTION_CREATED, row, actor=actor, why=reason)
    return row


def change_connection(
    *,
    connection: Connection,
    changes: Mapping[str, Any],
    actor: Actor,
    reason: str,
    domains: Iterable[str] | None = None,
    new_keys_known: bool = False,
) -> Connection:
    """Changes some fields, and with `domains` the whole list of granted domains.

    `new_keys_known` says that a person has looked at metadata that might be another IdP's.
    """
    reason = needed_reason(reason)
    wanted = dict(_allowed(changes))
    document = wanted.pop("idp_metadata", None)
    with transaction.atomic():
        if document:
            metadata.offer_metadata(
                connection=connection,
                document=document,
                at=now(),
                actor=actor,
                source=metadata.Source(kind="form"),
                confirmed=new_keys_known,
                reason=reason,
            )
        row = Connection.objects.select_for_update(no_key=True).get(
            pk=connection.pk, tenant_id=connection.tenant_id
        )
        if document == "":
            wanted |= {"idp_metadata": "", "idp_entity_id": "", "metadata_valid_until": None}
        changed = sorted(field for field, value in wanted.items() if getattr(row, field) != value)
        if "second_approver_over" in changed:
            _require_loosened_by_operator(row.second_approver_over, wanted["second_approver_over"], actor)
        for field in changed:
            setattr(row, field, wanted[field])
        if not ATTRIBUTES.isdisjoint(changed):
            _check_attributes(row)
        if {"metadata_url", "metadata_signing_certificates"} & set(changed):
            # The next look reads the whole document: what was seen last came from elsewhere, or was not checked so.
            row.metadata_etag = row.metadata_last_modified = row.metadata_problem = ""
            row.metadata_failing_since = None
        _checked(row)
        _limited(row)
        _braked(row)
        row.config_version = F("config_version") + 1
        _saved(row, "name", "The tenant has a connection of this name.")
        row.refresh_from_db()
        if domains is not None:
            _grant(row, domains)
            changed.append("domains")
        audit.record_act(Act.CONNECTION_CHANGED, row, actor=actor, why=reason, changes=_told(changed))
    return row


def note_own_keys(connection: Connection, act: Act, *, actor: Actor, reason: str) -> None:
    """A face changes keys of the hub's own for this connection, in the transaction that is open: no other one does at
    the same time, and every process reads them anew."""
    row = Connection.objects.select_for_update(no_key=True).get(
        tenant_id=connection.tenant_id, pk=connection.pk
    )
    row.config_version += 1
    row.save(update_fields=["config_version"])
    audit.record_act(act, row, actor=actor, why=needed_reason(reason), changes=_told(["encryption key"]))


def _allowed(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    if strange := sorted(set(fields) - CHANGEABLE):
        raise Invalid(strange[0], f"A connection has no changeable field {strange[0]!r}.")
    if url := fields.get("metadata_url"):
        try:
            outbound.check(url)
        except outbound.Refused as error:
            raise Invalid("metadata_url", str(error)) from None
    if pem := fields.get("metadata_signing_certificates"):
        try:
            given = certificates.from_pem(pem)
        except certificates.Unreadable:
            raise Invalid("metadata_signing_certificates", "This is no certificate in PEM form.") from None
        if weak := next((one for one in given if one.weakness), None):
            raise Invalid(
                "metadata_signing_certificates", f"The certificate {weak.subject} has {weak.weakness}."
            )
    return fields


def _check_attributes(row: Connection) -> None:
    """What one of these fields means depends on the others, so they are judged together."""
    for field, check in (
        ("attribute_map", attributes.checked_map),
        ("attribute_rules", attributes.checked_rules),
    ):
        try:
            setattr(row, field, check(getattr(row, field)))
        except attributes.Wrong as wrong:
            raise Invalid(field, str(wrong)) from None
    if row.preset and row.preset not in presets.PRESETS:
        raise Invalid("preset", f"There is no preset {row.preset!r}, only {', '.join(presets.PRESETS)}.")
    for field in ("user_name_attribute", "external_id_attribute"):
        # Attack (pre-hijack): who may edit his e-mail would choose whom he is taken for.
        if attributes.names_an_email(getattr(row, field), row.attribute_map):
            raise Invalid(
                field, "People may often change their e-mail themselves, so it can be no name or key."
            )


def _limited(connection: Connection) -> None:
    """Limits that can be kept: nothing else would let anybody create an account, or refuse anybody."""
    if connection.jit_groups and not connection.group_attribute:
        raise Invalid("jit_groups", "Name the group attribute first: without it no login brings a group.")
    limits = connection.jit_attributes
    if not isinstance(limits, dict):
        raise Invalid("jit_attributes", 'Please write an object, for instance {"department": ["Sales"]}.')
    for name, values in limits.items():
        listed = isinstance(values, list) and all(isinstance(value, str) and value for value in values)
        if not name or not listed or not values:
            raise Invalid("jit_attributes", f"{name!r} needs a list of the values that will do.")


def _grant(connection: Connection, domains: Iterable[str] | None) -> None:
    verified = {
        row.domain: row
        for row in TenantDomain.objects.filter(tenant_id=connection.tenant_id, verified_at__isnull=False)
    }
    wanted = set(verified) if domains is None else {domain.strip().lower() for domain in domains}
    if foreign := sorted(wanted - set(verified)):
        raise Invalid("domains", f"{foreign[0]!r} is not a verified domain of the tenant.")
    grants = ConnectionDomain.objects.filter(tenant_id=connection.tenant_id, connection=connection)
    grants.exclude(domain__domain__in=wanted).delete()
    ConnectionDomain.objects.bulk_create(
        [
            ConnectionDomain(tenant_id=connection.tenant_id, connection=connection, domain=verified[domain])
            for domain in sorted(wanted)
        ],
        ignore_conflicts=True,
    )


def create_local_identity(
    *,
    login_name: str,
    password: str,
    actor: Actor,
    reason: str,
    tenant: Tenant | None = None,
    display_name: str = "",
    superuser: bool = False,
    tenant_administrator: bool = False,
    break_glass: bool = False,
) -> Identity:
    """An identity that signs in with a password of the hub's own and obeys no IdP."""
    reason = needed_reason(reason)
    login_name = login_name.strip()
    if not login_name:
        raise Invalid("login_name", "A local identity needs a name to sign in with.")
    if len(password) < 12:
        raise Invalid("password", "A password has at least 12 characters.")
    with transaction.atomic():
        row = Identity(
            tenant=None if superuser else tenant,
            local=True,
            break_glass=break_glass,
            login_name=login_name,
            user_name=login_name,
            user_name_key=fold(login_name),
            display_name=display_name,
            is_superuser=superuser,
            is_tenant_administrator=tenant_administrator,
            owner_id=None if superuser else owner_of(actor, tenant),
        )
        row.set_password(password)
        _save_new(row, "login_name", "This name is taken.")
        flags = [
            name for name in ("break_glass", "is_superuser", "is_tenant_administrator") if getattr(row, name)
        ]
        audit.record_act(Act.LOCAL_CREATED, row, actor=actor, why=reason, changes=_named(flags))
    return row


def _named(flags: Iterable[str]) -> list[dict[str, Any]]:
    """Which of the flags that nothing sets later it has: the laws of the stored rows compare with that."""
    return [{"change": "configuration", "fields": list(flags)}]


def owner_of(actor: Actor, tenant: Tenant | None) -> UUID | None:
    """Who answers for what `actor` makes: the acting identity, where it is one of the tenant's own."""
    key = as_uuid(actor.id) if actor.kind == "identity" else None
    if key is None or tenant is None:
        return None
    return Identity.objects.filter(tenant=tenant, pk=key).values_list("pk", flat=True).first()


def set_password(*, identity: Identity, password: str, actor: Actor, reason: str | None = None) -> None:
    """A new password for a local identity; its sessions end with the old one. Nobody is asked why about their own."""
    if actor != Actor(kind="identity", id=str(identity.pk)):
        reason = needed_reason(reason or "")
    if not identity.local:
        raise Invalid("password", "Only a local identity has a password.")
    if len(password) < 12:
        raise Invalid("password", "A password has at least 12 characters.")
    with transaction.atomic():
        identity.set_password(password)
        identity.save(update_fields=["password"])
        audit.record_act(Act.PASSWORD_SET, identity, actor=actor, why=reason)


def create_entitlement(
    *,
    tenant: Tenant,
    name: str,
    actor: Actor,
    reason: str,
    kind: str = "role",
    description: str = "",
    grants_staff: bool = False,
) -> Entitlement:
    """A role or group of the hub. Only an installation superuser's act may let it administer the tenant."""
    reason = needed_reason(reason)
    if grants_staff and not is_operator(actor):
        raise Invalid("grants_staff", "Only an installation superuser can do that.")
    with transaction.atomic():
        row = Entitlement(
            tenant=tenant, name=name, kind=kind, description=description, grants_staff=grants_staff
        )
        _save_new(row, "name", "The tenant has an entitlement of this name.")
        flags = ["grants_staff"] if grants_staff else []
        audit.record_act(Act.ENTITLEMENT_CREATED, row, actor=actor, why=reason, changes=_named(flags))
    return row


def map_entitlement(
    *, entitlement: Entitlement, group: DirectoryGroup, actor: Actor, reason: str
) -> EntitlementMapping:
    """From now on the group's live members hold the entitlement."""
    reason = needed_reason(reason)
    if entitlement.tenant_id != group.tenant_id:
        raise Invalid("group", "The group belongs to another tenant.")
    if entitlement.grants_staff and not is_operator(actor):
        raise Invalid("entitlement", "Only an installation superuser can map staff rights.")
    with transaction.atomic():
        row, created = EntitlementMapping.objects.get_or_create(
            tenant_id=entitlement.tenant_id, entitlement=entitlement, group=group
        )
        if created:
            audit.record_act(Act.ENTITLEMENT_MAPPED, row, actor=actor, why=reason, changes=_mapping(row))
    return row


def unmap_entitlement(*, mapping: EntitlementMapping, actor: Actor, reason: str) -> None:
    """From now on the group gives the entitlement to nobody."""
    reason = needed_reason(reason)
    with transaction.atomic():
        audit.record_act(
            Act.ENTITLEMENT_UNMAPPED, mapping, actor=actor, why=reason, changes=_mapping(mapping)
        )
        mapping.delete()


def _mapping(row: EntitlementMapping) -> list[dict[str, Any]]:
    """What outlives the row: which group gave what."""
    return [{"change": "mapping", "group_id": row.group_id, "entitlement_id": row.entitlement_id}]


def allow_group(
    *, connection: Connection, value: str, entitlement: Entitlement, actor: Actor, reason: str
) -> AssertedGroup:
    """From its next login on, whoever brings the value in the connection's group attribute holds the entitlement."""
    reason, value = needed_reason(reason), value.strip()
    if entitlement.tenant_id != connection.tenant_id:
        raise Invalid("entitlement", "The entitlement belongs to another tenant.")
    if entitlement.grants_staff and not is_operator(actor):
        raise Invalid("entitlement", "Only an installation superuser can map staff rights.")
    with transaction.atomic():
        known = AssertedGroup.objects.filter(
            tenant_id=connection.tenant_id, connection=connection, value=value, entitlement=entitlement
        ).first()
        if known is not None:
            return known
        row = AssertedGroup(
            tenant_id=connection.tenant_id, connection=connection, value=value, entitlement=entitlement
        )
        _save_new(row, "value", "This value gives the entitlement already.")
        audit.record_act(Act.ENTITLEMENT_GROUP_ALLOWED, row, actor=actor, why=reason)
    return row


def disallow_group(*, row: AssertedGroup, actor: Actor, reason: str) -> None:
    """From now on the value gives the entitlement to nobody."""
    reason = needed_reason(reason)
    with transaction.atomic():
        audit.record_act(Act.ENTITLEMENT_GROUP_DISALLOWED, row, actor=actor, why=reason)
        row.delete()


def _checked(row: models.Model) -> None:
    """Field by field; what only the database knows (uniqueness) is its answer at the INSERT."""
    try:
        row.clean_fields()
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise Invalid(field, messages[0]) from None
    for column in row._meta.concrete_fields:
        # JSON can write them as escapes, so no form has seen them.
        if not all_keepable(getattr(row, column.attname)):
            raise Invalid(column.name, "This holds characters that cannot be kept, such as NUL.")


def _save_new(row: models.Model, field: str, taken: str) -> None:
    _checked(row)
    _saved(row, field, taken)


def _saved(row: models.Model, field: str, taken: str) -> None:
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError:
        raise Invalid(field, taken) from None


def _told(fields: Iterable[str]) -> list[dict[str, Any]]:
    return [{"change": "configuration", "fields": list(fields)}]
