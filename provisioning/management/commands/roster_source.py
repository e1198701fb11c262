"""`manage.py roster_source`: where the hub lists a connection's people itself, and by which credential."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from provisioning.fingerprints import FIELDS
from provisioning.management.base import HubCommand, connection_named, operator, pairs, table, tenant_named
from provisioning.models import RosterSource
from provisioning.roster import Page, Unreadable
from provisioning.roster.mapping import checked
from provisioning.services import pulls, roster_sources
from provisioning.sources import Away

SHOWN = 10
_TEXTS = ("kind", "base_address", "token_address", "client_id", "subject", "chosen")


class Command(HubCommand):
    help = (
        "Shows where the hub lists a connection's people itself; sets or changes it. The credential is read from a "
        "file or from stdin and never shown: a bearer token, a client secret, or the whole JSON file of a Google "
        "service account's key. --test shows what the mapping makes of the first page, and keeps nothing."
    )

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--connection", required=True, help="Id, or a name that is unique.")
        parser.add_argument(
            "--tenant", default="", help="Short name of the tenant whose connection is meant."
        )
        parser.add_argument("--kind", choices=RosterSource.Kind.values, help="What is listed there.")
        parser.add_argument(
            "--base-address", help="Of the interface; those of Google and Microsoft are known."
        )
        parser.add_argument("--token-address", help="Where a token is obtained (OAuth client credentials).")
        parser.add_argument("--client-id", help="Of the application that obtains it.")
        parser.add_argument(
            "--subject", help="Google: the administrator for whom the service account speaks."
        )
        parser.add_argument(
            "--chosen",
            help="Which people: a SCIM filter, a Google query, the object id of an Entra group. Empty: all.",
        )
        parser.add_argument(
            "--map",
            action="append",
            metavar="ATTRIBUTE=COLUMN",
            help="May be repeated; replaces the whole mapping. Without it the usual one.",
        )
        secret = parser.add_mutually_exclusive_group()
        secret.add_argument("--secret-file", type=Path, help="File that holds the credential.")
        secret.add_argument("--secret-stdin", action="store_true", help="Read the credential from stdin.")
        scheduled = parser.add_mutually_exclusive_group()
        scheduled.add_argument("--schedule", action="store_true", default=None, help="List every night.")
        scheduled.add_argument("--no-schedule", dest="schedule", action="store_false")
        act = parser.add_mutually_exclusive_group()
        act.add_argument("--test", action="store_true", help="Fetch the first page, and keep nothing.")
        act.add_argument("--remove", action="store_true", help="Forget it, with its credential.")
        parser.add_argument("--reason", default="", help="Why; kept in the audit. Needed for a change.")

    def answer(self, **options: Any) -> dict[str, Any]:
        tenant = tenant_named(options["tenant"]) if options["tenant"] else None
        connection = connection_named(options["connection"], tenant)
        if options["remove"]:
            source = roster_sources.source_of(connection)
            if source is None:
                raise CommandError("The connection has no roster source.")
            roster_sources.remove_source(source=source, actor=operator(), reason=options["reason"])
            return {"connection": str(connection.pk), "removed": True}
        fields = {name: options[name] for name in _TEXTS if options[name] is not None}
        if options["map"] is not None:
            fields["mapping"] = dict(_pair(text) for text in options["map"])
        if options["schedule"] is not None:
            fields["scheduled"] = options["schedule"]
        secret = _secret(options)
        source = roster_sources.source_of(connection)
        if fields or secret:
            source = roster_sources.keep_source(
                connection=connection,
                actor=operator(),
                fields=fields,
                secret=secret,
                reason=options["reason"],
            )
        if source is None:
            raise CommandError("The connection has no roster source; set one with --kind and --secret-file.")
        return {**_told(source), **(_tested(source) if options["test"] else {})}

    def show(self, answer: dict[str, Any]) -> Iterator[str]:
        if answer.get("removed"):
            yield "The roster source is gone, with its credential."
            return
        yield from pairs(
            (name.replace("_", " ").capitalize(), value)
            for name, value in answer.items()
            if value not in ("", None) and name not in ("mapping", "first_page")
        )
        yield ""
        yield from table(("Attribute", "Column"), answer["mapping"].items())
        if page := answer.get("first_page"):
            yield ""
            yield from table(page["attributes"], page["people"])
            yield from (
                f"person {one['line']}: {one['code']} {one['column']}".rstrip() for one in page["faults"]
            )


def _pair(text: str) -> tuple[str, str]:
    attribute, mark, column = text.partition("=")
    if not mark:
        raise CommandError(f"--map {text!r} is not of the form attribute=column.")
    return attribute.strip(), column.strip()


def _secret(options: dict[str, Any]) -> str:
    if options["secret_stdin"]:
        return sys.stdin.read()
    if options["secret_file"] is None:
        return ""
    try:
        return str(options["secret_file"].read_text())
    except (OSError, UnicodeDecodeError):
        raise CommandError(f"The file {options['secret_file']} cannot be read.") from None


def _told(source: RosterSource) -> dict[str, Any]:
    return {
        "connection": str(source.connection_id),
        **{name: getattr(source, name) for name in _TEXTS},
        "scheduled": source.scheduled,
        "credential_since": source.sealed_at.isoformat(),
        "problem": source.problem,
        "mapping": dict(checked(source.mapping).columns),
    }


def _tested(source: RosterSource) -> dict[str, Any]:
    try:
        page = pulls.first_page(source)
    except (Unreadable, Away) as error:
        raise CommandError(str(error)) from None
    return {"first_page": _shown(source, page)}


def _shown(source: RosterSource, page: Page) -> dict[str, Any]:
    places = checked(source.mapping).places
    return {
        "attributes": [FIELDS[place] for place in places],
        "people": [[values[place] for place in places] for _, values in page.rows[:SHOWN]],
        "on_the_page": len(page.rows) + len(page.faults),
        "in_all": page.total,
        "faults": [fault.told for fault in page.faults[:SHOWN]],
    }
