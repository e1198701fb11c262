"""How good what a connection's IdP sends is: a score with its reasons, counted over recent logins. Knows no person."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from provisioning import sql
from provisioning.decision.reasons import FindingKind, Reason
from provisioning.models import Connection

RECENT = timedelta(days=30)
"""Login attempts are not kept for longer."""
AT_MOST = 5000
"""Of many logins the latest count: what an IdP sends, it sends to all."""

CHANGED_KEY = (Reason.LOGIN_NAME_ID_CHANGED.value, Reason.LOGIN_NAME_ID_RECYCLED.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Counts over the logins whose attributes were read, whether they ended in a session or not.

    `faultless` are those in which every attribute that is required, a configured name or key, or came at all was `ok`,
    and whose key was the one known. `faults` counts by hub attribute and verdict. `absent` counts by hub attribute what
    did not come and need not: not every person has a title, so it lowers no score. `moved_emails` are the findings in
    which an e-mail moved to another domain; they lower none either, because a moved domain may be meant.
    """

    since: datetime
    logins: int = 0
    faultless: int = 0
    changed_keys: int = 0
    moved_emails: int = 0
    faults: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    absent: Mapping[str, int] = field(default_factory=dict)

    @property
    def score(self) -> int | None:
        """0 to 100: of a hundred logins, how many were faultless, rounded down, so that 100 means all of them.

        None where nobody has signed in.
        """
        return self.faultless * 100 // self.logins if self.logins else None


_COUNTS = """
WITH recent AS (
  SELECT verdicts, reason = ANY(%(changed_key)s) AS changed
    FROM saml_sp_loginattempt
   WHERE tenant_id = %(tenant)s AND connection_id = %(connection)s AND at > %(since)s AND verdicts <> '{}'
   ORDER BY at DESC
   LIMIT %(at_most)s
)
SELECT '' AS attribute, 'logins' AS what, count(*) AS number FROM recent
UNION ALL
SELECT '', 'faultless', count(*) FROM recent
 WHERE NOT changed
   AND NOT EXISTS (SELECT FROM jsonb_each(verdicts) AS e(k, v) WHERE v->>'verdict' <> 'ok' AND NOT v ? 'optional')
UNION ALL
SELECT '', 'changed_keys', count(*) FROM recent WHERE changed
UNION ALL
SELECT '', 'moved_emails', count(*) FROM provisioning_finding
 WHERE tenant_id = %(tenant)s AND connection_id = %(connection)s AND kind = %(moved)s AND opened_at > %(since)s
UNION ALL
SELECT attribute, CASE WHEN judged ? 'optional' THEN '' ELSE judged->>'verdict' END, count(*)
  FROM recent, jsonb_each(verdicts) AS each(attribute, judged)
 WHERE judged->>'verdict' <> 'ok'
 GROUP BY 1, 2
"""


def quality_of(connection: Connection, at: datetime) -> Quality:
    """One statement."""
    since = at - RECENT
    rows = sql.rows(
        _COUNTS,
        {
            "tenant": connection.tenant_id,
            "connection": connection.pk,
            "since": since,
            "changed_key": list(CHANGED_KEY),
            "moved": FindingKind.EMAIL_DOMAIN_CHANGED.value,
            "at_most": AT_MOST,
        },
        prepared=False,
    )
    totals = {what: number for attribute, what, number in rows if not attribute}
    absent = {attribute: number for attribute, verdict, number in rows if attribute and not verdict}
    faults: dict[str, dict[str, int]] = {}
    for attribute, verdict, number in rows:
        if attribute and verdict:
            faults.setdefault(attribute, {})[verdict] = number
    return Quality(since=since, faults=faults, absent=absent, **totals)
