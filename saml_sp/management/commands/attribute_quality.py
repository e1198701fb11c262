"""`manage.py attribute_quality`: how good what an IdP sends is, with its reasons."""

from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandParser

from identity_hub.core.clock import now
from provisioning.attributes import LABELS
from provisioning.management.base import HubCommand, connection_named, pairs, table, tenant_named
from saml_sp.quality import quality_of


class Command(HubCommand):
    help = (
        "Counts, over the logins of the last 30 days, which attributes of a connection were missing, malformed or not "
        "allowed, and how many logins came with another key. It shows no person."
    )

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--connection", required=True, help="Id, or a name that is unique.")
        parser.add_argument(
            "--tenant", default="", help="Short name of the tenant whose connection is meant."
        )

    def answer(self, **options: Any) -> dict[str, Any]:
        tenant = tenant_named(options["tenant"]) if options["tenant"] else None
        connection = connection_named(options["connection"], tenant)
        quality = quality_of(connection, now())
        return {
            "connection": str(connection.pk),
            "name": connection.name,
            "preset": connection.preset or None,
            "since": quality.since.isoformat(),
            "score": quality.score,
            "logins": quality.logins,
            "faultless": quality.faultless,
            "changed_keys": quality.changed_keys,
            "moved_emails": quality.moved_emails,
            "absent": {name: quality.absent[name] for name in LABELS if name in quality.absent},
            "faults": {name: quality.faults[name] for name in LABELS if name in quality.faults},
        }

    def show(self, answer: dict[str, Any]) -> Iterator[str]:
        score = answer["score"]
        yield from pairs(
            [
                ("Connection", answer["name"]),
                ("Quality", "nobody signed in" if score is None else f"{score} of 100"),
                ("Logins in 30 days", answer["logins"]),
                ("With another key", answer["changed_keys"]),
                ("E-mails moved to another domain", answer["moved_emails"]),
            ]
        )
        if answer["faults"] or answer["absent"]:
            yield ""
            yield from table(
                ["attribute", "verdict", "logins"],
                [
                    (LABELS[name], verdict, number)
                    for name, verdicts in answer["faults"].items()
                    for verdict, number in sorted(verdicts.items())
                ]
                + [(LABELS[name], "not sent", number) for name, number in answer["absent"].items()],
            )
