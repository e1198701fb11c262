"""What the operator's commands share: JSON or a table, errors in the same form, who acts, how one names a thing."""

import getpass
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError
from django.utils.dateparse import parse_date, parse_datetime

from identity_hub.core.ids import as_uuid
from provisioning.decision.types import Actor
from provisioning.models import Connection, Tenant
from provisioning.services.configuration import Invalid

_AGO = re.compile(r"(\d{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class HubCommand(BaseCommand, ABC):
    """A command answers a JSON object; `show` turns it into lines for a person.

    With --json the object, or `{"error": ...}`, is all that stdout gets; errors also end with a non-zero code.
    """

    requires_system_checks: Sequence[str] = ()

    def arguments(self, parser: CommandParser) -> None:
        """What a command takes besides --json."""

    @abstractmethod
    def answer(self, **options: Any) -> dict[str, Any]:
        """What the command did or found."""

    @abstractmethod
    def show(self, answer: dict[str, Any]) -> Iterator[str]:
        """Lines for a person."""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        # A misspelt option becomes a CommandError too, so that --json has one form of error.
        parser.called_from_command_line = False
        return parser

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print one JSON object and nothing else.")
        self.arguments(parser)

    def run_from_argv(self, argv: list[str]) -> None:
        try:
            super().run_from_argv(argv)
        except CommandError as error:
            # Only a parser's error comes this far; Django handles the others.
            if "--json" in argv:
                self._print_json({"error": str(error)})
            self.stderr.write(str(error))
            raise SystemExit(2) from None

    def handle(self, *args: Any, **options: Any) -> None:
        as_json = options["json"]
        try:
            with _said_plainly():
                answer = self.answer(**options)
        except CommandError as error:
            if as_json:
                self._print_json({"error": str(error)})
            raise
        if as_json:
            self._print_json(answer)
        else:
            for line in self.show(answer):
                self.stdout.write(line)
        if code := self.exit_code(answer):
            raise SystemExit(code)

    def exit_code(self, answer: dict[str, Any]) -> int:
        """Non-zero for an answer that a script must not take for success."""
        return 0

    def _print_json(self, value: dict[str, Any]) -> None:
        self.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str))


@contextmanager
def _said_plainly() -> Iterator[None]:
    try:
        yield
    except Invalid as error:
        named = f"{error.field.replace('_', ' ')}: " if error.field else ""
        raise CommandError(f"{named}{error.message}") from None
    except OperationalError as error:
        raise CommandError(
            f"The database cannot be used ({type(error.__cause__ or error).__name__})."
        ) from None


def ask_why(parser: CommandParser) -> None:
    """What a command takes that always changes something."""
    parser.add_argument("--reason", required=True, help="Why; kept in the audit.")


def operator() -> Actor:
    """The operating system's name of whoever runs the command."""
    try:
        return Actor(kind="command", id=getpass.getuser()[:64])
    except (KeyError, OSError):  # a container's user may have no name
        return Actor(kind="command")


def tenant_named(slug: str) -> Tenant:
    tenant = Tenant.objects.filter(slug=slug).first()
    if tenant is None:
        raise CommandError(f"There is no tenant {slug!r}.")
    return tenant


def connection_named(key: str, tenant: Tenant | None = None) -> Connection:
    """By id, or by a name that only one connection (of the tenant, where one is given) has."""
    rows = Connection.objects.select_related("tenant")
    if as_id := as_uuid(key):
        found = [row for row in rows.filter(pk=as_id) if tenant is None or row.tenant_id == tenant.pk]
    else:
        tenants = [tenant] if tenant is not None else Tenant.objects.order_by("slug")
        found = [row for one in tenants for row in rows.filter(tenant=one, name=key)]
    if not found:
        raise CommandError(f"There is no connection {key!r}.")
    if len(found) > 1:
        raise CommandError(f"Several connections are named {key!r}; give the id, or the tenant.")
    return found[0]


def moment(text: str, at: datetime, option: str = "--since") -> datetime:
    """What an option like --since says: so long before `at`, a day or a time (UTC)."""
    if ago := _AGO.fullmatch(text.strip()):
        return at - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        if named := parse_datetime(text):
            return named if named.tzinfo else named.replace(tzinfo=UTC)
        if day := parse_date(text):
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
    except ValueError:
        pass  # well-formed, but no such day
    raise CommandError(f"{option} {text!r} is no moment; try 2h, 7d, 2026-01-31 or 2026-01-31T08:00.")


def pairs(rows: Iterable[tuple[str, Any]]) -> Iterator[str]:
    """A table of two columns, without heads."""
    told = [(name, "" if value is None else str(value)) for name, value in rows]
    width = max((len(name) for name, _ in told), default=0)
    for name, value in told:
        yield f"{name:<{width}}  {value}".rstrip()


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    told = [list(heads), *([("" if cell is None else str(cell)) for cell in row] for row in rows)]
    widths = [max(len(row[n]) for row in told) for n in range(len(heads))]
    for number, row in enumerate(told):
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        if number == 0:
            yield "  ".join("-" * width for width in widths)
