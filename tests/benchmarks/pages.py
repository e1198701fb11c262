"""What each page of the administrators takes in a large tenant: time of the server and statements, nothing kept.

Everything is copied in or made by the database itself: people, accounts that logins made, holds, findings, a simulated
run, and the logs of two weeks. A page is asked for through the whole of Django, by the administrator of the tenant.
"""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.cache import cache
from django.core.management import call_command
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext

from identity_hub.core.clock import now
from provisioning import reconciliation
from provisioning.models import (
    Account,
    AuditRecord,
    Connection,
    DirectoryGroup,
    Entitlement,
    Finding,
    Identity,
    ReconciliationRun,
    Roster,
)
from provisioning.services import configuration
from saml_sp.models import LoginAttempt
from tests.benchmarks import logins, reconciling
from tests.benchmarks.population import OPERATOR

MUST = 1.0
"""Seconds of any page."""
ROUNDS = 5
DAYS = 14

# What is beside a million people, for each of them. Numbers in `%(name)s` are parameters, `n` counts from 1.
_FILLING: Mapping[str, str] = {
    "people in an order that one can name": """
        CREATE TEMPORARY TABLE everybody AS
        SELECT row_number() OVER (ORDER BY i.id) AS n, i.id AS identity_id, a.id AS account_id
          FROM provisioning_identity i JOIN provisioning_account a ON a.tenant_id = i.tenant_id AND a.identity_id = i.id
         WHERE i.tenant_id = %(tenant)s""",
    "and quickly found": "CREATE UNIQUE INDEX ON everybody (n)",
    "one in fifty is gone": """
        UPDATE provisioning_account a SET deleted_at = %(at)s, active = false FROM everybody e
         WHERE a.id = e.account_id AND e.n %% 50 = 0""",
    "one in thirty was made by a login": """
        UPDATE provisioning_account a SET origin = 'jit', created_at = %(at)s - e.n %% 40 * interval '1 day',
               confirmed_at = CASE WHEN e.n %% 60 = 0 THEN %(at)s - e.n %% 40 * interval '12 hours' END
          FROM everybody e WHERE a.id = e.account_id AND e.n %% 30 = 0""",
    "one in two hundred waits for a link": """
        UPDATE provisioning_account a SET identity_id = NULL, link_rule = '', linked_at = NULL FROM everybody e
         WHERE a.id = e.account_id AND e.n %% 200 = 7""",
    "one in twelve is held": """
        INSERT INTO provisioning_hold (id, tenant_id, identity_id, kind, source_account_id, reason, placed_by,
               placed_at)
        SELECT gen_random_uuid(), %(tenant)s, identity_id, (ARRAY['scim', 'scim', 'scim', 'expiry',
               'admin'])[1 + n %% 5],
               account_id, 'account:disabled', 'connection:' || %(connection)s, %(at)s - n %% 60 * interval '1 day'
          FROM everybody WHERE n %% 12 = 0""",
    "one in twenty-five has been asked about": """
        INSERT INTO provisioning_finding (id, tenant_id, connection_id, account_id, identity_id, kind,
               severity, candidates,
               evidence, fingerprint, status, opened_at, decided_by, decision_reason)
        SELECT gen_random_uuid(), %(tenant)s, %(connection)s, account_id, identity_id,
               (ARRAY['duplicate', 'weak-match', 'unconfirmed', 'dormant', 'disputed'])[1 + n / 25 %% 5],
               (ARRAY['low', 'medium', 'high'])[1 + n / 25 %% 3], '[]', '{}', 'bench-' || n,
               CASE WHEN n %% 2 = 0 THEN 'open' ELSE 'approved' END, %(at)s - n %% 90 * interval '1 day', '', ''
          FROM everybody WHERE n %% 25 = 0""",
    "everybody's creation and login are in the audit": """
        INSERT INTO provisioning_auditrecord (tenant_id, at, request_id, actor_kind, actor_id, channel, intent,
               situation,
               verdict, reason, connection_id, account_id, identity_id, changes, digests)
        SELECT %(tenant)s, %(at)s - (1 - n / %(people)s::float) * interval '14 days', 'bench-' || kind || n,
               'connection',
               %(connection)s, kind, CASE kind WHEN 'saml' THEN 'authenticate' ELSE 'create' END, 'linked',
               CASE WHEN kind = 'saml' AND n %% 20 = 0 THEN 'refused' ELSE 'applied' END,
               CASE WHEN kind = 'scim' THEN 'account:created' WHEN n %% 20 = 0 THEN 'login:identity-held'
                    ELSE 'login:admitted' END, %(connection)s, account_id, identity_id, '[]', '{}'
          FROM everybody, unnest(ARRAY['scim', 'saml']) AS kind ORDER BY n""",
    "one in a hundred was changed by an administrator": """
        INSERT INTO provisioning_auditrecord (tenant_id, at, request_id, actor_kind, actor_id, channel, intent,
               situation,
               verdict, reason, connection_id, account_id, identity_id, changes, digests)
        SELECT %(tenant)s, %(at)s - n / %(people)s::float * interval '60 days', '', 'identity', %(administrator)s,
               'admin', 'update', '', 'applied', 'identity:hold-placed', %(connection)s, account_id,
               identity_id, '[]', '{}'
          FROM everybody WHERE n %% 100 = 0 ORDER BY n""",
    "logins are in their log": """
        INSERT INTO saml_sp_loginattempt (id, reference, tenant_id, connection_id, outcome, reason, detail, verdicts,
               account_id, identity_id, network, request_id, at)
        SELECT gen_random_uuid(), upper(left(md5(%(slug)s), 3)) || lpad((n / 100000)::text, 2,
               '0') || '-' || lpad((n %% 100000)::text, 5, '0'),
               %(tenant)s, %(connection)s, CASE WHEN n %% 20 = 0 THEN 'refused' ELSE 'admitted' END,
               CASE WHEN n %% 40 = 0 THEN 'saml:signature-wrong' WHEN n %% 20 = 0 THEN 'login:identity-held'
                    ELSE 'login:admitted' END, '{}', '{}',
               account_id, identity_id, '192.0.2.0', 'bench-saml' || n,
               %(at)s - n / %(people)s::float * interval '14 days'
          FROM everybody""",
    "pushes are in theirs": """
        INSERT INTO provisioning_scimrequest (tenant_id, connection_id, token_id, at, request_id, method,
               action, target_id,
               status, scim_type, reason, detail, milliseconds, digests)
        SELECT %(tenant)s, %(connection)s, %(tenant)s, %(at)s - (1 - n / %(people)s::float) * interval '14 days',
               'bench-scim' || n, 'POST', 'user.create', account_id, CASE WHEN n %% 100 = 0 THEN 409 ELSE 201 END, '',
               CASE WHEN n %% 100 = 0 THEN 'account:user-name-taken' ELSE 'account:created' END, '', 8, '{}'
          FROM everybody ORDER BY n""",
    "one in ten is signed in": """
        INSERT INTO provisioning_session (session_key, session_data, expire_date, tenant_id, identity_id, connection_id,
               account_id, session_index, user_agent, network, handle, created_at)
        SELECT md5('key' || n || %(slug)s), '', %(at)s + interval '8 hours', %(tenant)s, identity_id,
               %(connection)s, account_id, '', 'Mozilla/5.0 (Windows NT 10.0) Chrome/120', '192.0.2.0',
               md5(n || %(slug)s), %(at)s - n %% 400 * interval '1 minute'
          FROM everybody WHERE n %% 10 = 0""",
    "a thousand groups": """
        INSERT INTO provisioning_directorygroup (id, tenant_id, connection_id, display_name, display_name_key, resource,
               version, created_at, updated_at)
        SELECT gen_random_uuid(), %(tenant)s, %(connection)s, 'Group ' || n, 'group ' || n, '{}', 1, %(at)s, %(at)s
          FROM generate_series(1, 1000) n""",
    "everybody is in two of them": """
        INSERT INTO provisioning_membership (tenant_id, group_id, account_id, since)
        SELECT %(tenant)s, g.id, e.account_id, %(at)s
          FROM (SELECT id, row_number() OVER (ORDER BY display_name) - 1 AS number FROM provisioning_directorygroup
                 WHERE tenant_id = %(tenant)s) g
          JOIN (SELECT account_id, 7 + n %% 993 AS number FROM everybody
                 UNION ALL SELECT account_id, n %% 7 FROM everybody) e ON e.number = g.number""",
}


@dataclass(frozen=True, kw_only=True)
class Large:
    """A tenant with so many people, and its administrator."""

    where: Connection
    administrator: Identity
    run: ReconciliationRun
    people: int


def report(people: int, changes: int) -> None:
    call_command("collectstatic", interactive=False, verbosity=0)
    logins.quietly()
    large = load(people, changes)
    print(f"\n| page, among {people:,} people | on the wall, ms | of processors, ms | statements | must |")
    print("|---|---:|---:|---:|---:|")
    for name, address in addresses(large).items():
        taken, statements = measure(large, address)
        print(
            f"| {name} | {taken.wall * 1000:,.0f} | {taken.processors * 1000:,.0f} | {statements} "
            f"| {MUST * 1000:,.0f} |"
        )


def load(people: int, changes: int) -> Large:
    started = time.perf_counter()
    where = reconciling.new_connection()
    reconciling.copy_people(where, people, now() - timedelta(days=1))
    administrator = configuration.create_local_identity(
        login_name=f"admin-{where.tenant.slug}",
        password=where.tenant.slug,
        tenant=where.tenant,
        display_name="Administrator",
        tenant_administrator=True,
        actor=OPERATOR,
        reason="As agreed",
    )
    _fill(where, administrator, people)
    _entitle(where)
    reconciling.copy_roster(where, reconciling.mix(people, changes))
    _vacuum()
    run = reconciliation.simulate(where, OPERATOR, reason="As agreed")
    _vacuum()
    print(
        f"{people:,} people and what is about them in {time.perf_counter() - started:.0f} s", file=sys.stderr
    )
    return Large(where=where, administrator=administrator, run=run, people=people)


def _fill(where: Connection, administrator: Identity, people: int) -> None:
    values = {
        "tenant": where.tenant_id,
        "slug": where.tenant.slug,
        "connection": str(where.pk),
        "administrator": str(administrator.pk),
        "people": people,
        "at": now(),
    }
    with database.cursor() as cursor:
        cursor.execute("ANALYZE")
        for statement in _FILLING.values():
            cursor.execute(statement, values)


def _entitle(where: Connection) -> None:
    groups = DirectoryGroup.objects.filter(tenant_id=where.tenant_id).order_by("display_name")[:20]
    for number, group in enumerate(groups):
        role: Entitlement = configuration.create_entitlement(
            tenant=where.tenant,
            name=f"Role {number}",
            grants_staff=number == 10,
            actor=OPERATOR,
            reason="As agreed",
        )
        configuration.map_entitlement(entitlement=role, group=group, actor=OPERATOR, reason="As agreed")


def _vacuum() -> None:
    with database.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def measure(large: Large, address: str) -> tuple[reconciling.Taken, int]:
    """(the median round, statements), each time with an empty cache."""
    client = Client()
    client.force_login(large.administrator, backend="provisioning.backends.HubBackend")
    _ask(client, address)
    rounds = []
    for _ in range(ROUNDS):
        cache.clear()
        rounds.append(reconciling.taken_by(lambda: _ask(client, address)))
    cache.clear()
    with CaptureQueriesContext(database) as captured:
        _ask(client, address)
    return reconciling.median_of(rounds), len(captured)


def _ask(client: Client, address: str) -> None:
    answer = client.get(address)
    if answer.status_code != 200:
        raise SystemExit(f"{address}: {answer.status_code}")
    for _ in answer if answer.streaming else ():
        pass


def addresses(large: Large) -> Mapping[str, str]:
    """Every page that an administrator opens, and its searches and filters that many rows could make slow."""
    tenant_id, where = large.where.tenant_id, large.where
    domain, middle = f"{where.tenant.slug}.example", large.people // 2
    name = f"person{middle}@{domain}"
    account = Account.objects.get(tenant_id=tenant_id, user_name=name)
    finding = _newest(Finding, tenant_id, status="open", kind="weak-match")
    attempt = _newest(LoginAttempt, tenant_id, outcome="refused")
    record = _newest(AuditRecord, tenant_id, channel="saml")
    item = large.run.items.filter(situation="linked").latest("id")
    group = DirectoryGroup.objects.filter(tenant_id=tenant_id, display_name_key="group 1").latest("id")
    roster = _newest(Roster, tenant_id)
    of = "/admin/provisioning"
    run = f"{of}/reconciliationrun/{large.run.pk}"
    return {
        "start": "/admin/",
        "search over all pages": f"/admin/find/?q=person{middle // 10}",
        "posture": f"{of}/tenant/{tenant_id}/posture/",
        "people": f"{of}/identity/",
        "people, page 20": f"{of}/identity/?p=20",
        "people, by name": f"{of}/identity/?o=1",
        "people, by last login": f"{of}/identity/?o=-5",
        "people, search: a userName": f"{of}/identity/?q={name}",
        "people, search: a part that ten thousand have": f"{of}/identity/?q=given99",
        "people, search: a part that nobody has": f"{of}/identity/?q=nobody-is-called-so",
        "people: enabled": f"{of}/identity/?state=enabled",
        "people: held": f"{of}/identity/?state=held",
        "people: held by the directory": f"{of}/identity/?state=held-scim",
        "people: no live account": f"{of}/identity/?state=gone",
        "people: unconfirmed": f"{of}/identity/?state=unconfirmed",
        "a person": f"{of}/identity/{account.identity_id}/change/",
        "a person's timeline": f"{of}/identity/{account.identity_id}/timeline/",
        "accounts": f"{of}/account/",
        "accounts, search: a userName": f"{of}/account/?q={name}",
        "accounts, search: a part that nobody has": f"{of}/account/?q=nobody-is-called-so",
        "accounts: unconfirmed": f"{of}/account/?life=unconfirmed",
        "accounts: wait for their link": f"{of}/account/?life=unlinked",
        "accounts: deleted": f"{of}/account/?life=deleted",
        "an account": f"{of}/account/{account.pk}/change/",
        "findings": f"{of}/finding/",
        "findings: overdue": f"{of}/finding/?due=overdue",
        "findings, search: a userName": f"{of}/finding/?q=person{middle}",
        "a finding": f"{of}/finding/{finding.pk}/change/",
        "runs": f"{of}/reconciliationrun/",
        f"a run of {large.run.items_total:,} items": f"{run}/change/",
        "its plan": f"{run}/plan/",
        "its plan, last page": f"{run}/plan/?before={item.pk + 1}",
        "its plan, filtered": f"{run}/plan/?reason=account:created",
        "items of runs": f"{of}/reconciliationitem/",
        "items, search: a userName": f"{of}/reconciliationitem/?q=person{middle}",
        "audit": f"{of}/auditrecord/",
        "audit: by administrators": f"{of}/auditrecord/?by=admin",
        "audit: refused": f"{of}/auditrecord/?ended=refused",
        "audit: of one connection": f"{of}/auditrecord/?source={where.pk}",
        "audit, search: a request id": f"{of}/auditrecord/?q=bench-saml{middle}",
        "audit, search: a reason": f"{of}/auditrecord/?q=identity:hold-placed",
        "audit, search: an id": f"{of}/auditrecord/?q={account.pk}",
        "an audit record": f"{of}/auditrecord/{record.pk}/change/",
        "login log": "/admin/saml_sp/loginattempt/",
        "login log: refused": "/admin/saml_sp/loginattempt/?outcome__exact=refused",
        "login log, search: a reference": f"/admin/saml_sp/loginattempt/?q={attempt.reference}",
        "login log, search: a reason": "/admin/saml_sp/loginattempt/?q=saml:signature-wrong",
        "a login": f"/admin/saml_sp/loginattempt/{attempt.pk}/change/",
        "provisioning log": f"{of}/scimrequest/",
        "sessions": f"{of}/opensession/",
        "sessions, search: a name": f"{of}/opensession/?q=person{middle}",
        "groups": f"{of}/directorygroup/",
        "a group of a seventh of all": f"{of}/directorygroup/{group.pk}/change/",
        "rosters": f"{of}/roster/",
        "a roster": f"{of}/roster/{roster.pk}/change/",
        "connections": f"{of}/connection/",
        "a connection": f"{of}/connection/{where.pk}/change/",
        "the tenant": f"{of}/tenant/{tenant_id}/change/",
    }


def _newest(model: Any, tenant_id: UUID, **facts: Any) -> Any:
    return model.objects.filter(tenant_id=tenant_id, **facts).latest("pk")
