"""`manage.py import_roster`: loads a complete listing of a connection's people from a CSV or JSON Lines file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from identity_hub.core.clock import now
from provisioning.fingerprints import FIELDS
from provisioning.management.base import (
    HubCommand,
    connection_named,
    moment,
    operator,
    pairs,
    table,
    tenant_named,
)
from provisioning.management.rosters import told
from provisioning.models import Roster
from provisioning.roster import Fault, Unreadable
from provisioning.roster.files import FORMATS
from provisioning.roster.mapping import ATTRIBUTES, LABELS
from provisioning.roster.text import ENCODINGS
from provisioning.selectors.timeline import meaning
from provisioning.services import roster_files, rosters
from provisioning.services.roster_files import Preview


class Command(HubCommand):
    help = (
        "Loads a complete listing of a connection's people from a CSV or JSON Lines file. Nobody is changed by that: "
        "the next reconciliation goes by it. --preview loads nothing and shows what would be read of the first rows. "
        "A loading that was stopped goes on when the command is given again. Exit code 3: the roster was refused."
    )

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="The file: one person a line.")
        parser.add_argument("--connection", required=True, help="Id, or a name that is unique.")
        parser.add_argument(
            "--tenant", default="", help="Short name of the tenant whose connection is meant."
        )
        parser.add_argument(
            "--map",
            action="append",
            default=[],
            metavar="COLUMN=ATTRIBUTE",
            help=f"Beside what is guessed from the header; repeatable. Attributes: {', '.join(ATTRIBUTES)}.",
        )
        parser.add_argument(
            "--leave-out",
            action="append",
            default=[],
            metavar="ATTRIBUTE",
            choices=ATTRIBUTES,
            help="An attribute that is not to be read although a column is named like it; repeatable.",
        )
        parser.add_argument(
            "--as-of",
            default="",
            help="When the listing was begun to be exported: 2h, 2026-01-31T08:00. Else it speaks of now.",
        )
        parser.add_argument(
            "--expected",
            type=int,
            help="How many rows it has: its proof, needed where its last line has no end.",
        )
        parser.add_argument(
            "--accept-shrunk",
            default="",
            metavar="REASON",
            help="Why it may have far fewer people than the last complete roster. Kept in the audit.",
        )
        parser.add_argument("--format", default="", choices=["", *FORMATS], help="Else guessed.")
        parser.add_argument("--encoding", default="", choices=["", *ENCODINGS], help="Else detected.")
        parser.add_argument("--delimiter", default="", help="Else detected. \\t is a tab.")
        parser.add_argument("--quote", default="", help='Else ".')
        parser.add_argument("--reason", default="", help="Why; kept in the audit. Needed but for --preview.")
        parser.add_argument("--preview", action="store_true", help="Load nothing; show what would be read.")

    def answer(self, **options: Any) -> dict[str, Any]:
        tenant = tenant_named(options["tenant"]) if options["tenant"] else None
        connection = connection_named(options["connection"], tenant)
        path = Path(options["file"])
        if not path.is_file():
            raise CommandError(f"There is no file {options['file']!r}.")
        if options["expected"] is not None and options["expected"] < 1:
            raise CommandError("--expected: please give a number of rows.")
        as_of = moment(options["as_of"], now(), "--as-of") if options["as_of"] else None
        # The name of a file may be any bytes.
        name = path.name.encode("utf-8", "replace").decode()
        shared = {"name": name, "actor": operator(), "reason": options["reason"], "as_of": as_of}

        def open_() -> Any:
            return path.open("rb")

        try:
            seen, preview = roster_files.look_at(
                open_,
                name=name,
                options=_options(options),
                mapped=dict(map(_mapped, options["map"])),
                without=options["leave_out"],
            )
        except Unreadable as error:
            if options["preview"]:
                raise CommandError(error.sentence) from None
            return {"roster": told(roster_files.refuse_unread(connection=connection, error=error, **shared))}
        if options["preview"]:
            return {"preview": _previewed(preview)}
        try:
            roster = roster_files.import_file(
                connection=connection,
                open_=open_,
                seen=seen,
                preview=preview,
                expected=options["expected"],
                shrinking_accepted=options["accept_shrunk"],
                progress=None if options["json"] else self._progress,
                **shared,
            )
        except rosters.Elsewhere:
            raise CommandError("Another worker is loading this file.") from None
        return {"roster": told(roster)}

    def exit_code(self, answer: dict[str, Any]) -> int:
        loaded = answer.get("roster")
        return 3 if loaded and loaded["status"] != Roster.Status.COMPLETE else 0

    def _progress(self, rows: int) -> None:
        self.stderr.write(f"\r{rows} rows", ending="")

    def show(self, answer: dict[str, Any]) -> Iterator[str]:
        if preview := answer.get("preview"):
            yield from _shown_preview(preview)
            return
        roster = answer["roster"]
        yield from pairs(
            [
                ("Roster", f"{roster['id']}: {roster['status']}"),
                *([("Because", f"{roster['note']} ({roster['code']})")] if roster["code"] else []),
                ("Rows", roster["rows"]),
                ("As of", roster["as_of"][:19]),
                ("Says", ", ".join(roster["fields"])),
                ("Faults", roster["fault_count"]),
            ]
        )
        if roster["faults"]:
            yield ""
            yield from table(
                ("Line", "Column", "What is wrong"),
                [(f["line"], f["column"], meaning(f["code"])) for f in roster["faults"]],
            )


def _options(options: dict[str, Any]) -> dict[str, str]:
    chosen = {name: options[name] for name in ("format", "encoding", "delimiter", "quote") if options[name]}
    if chosen.get("delimiter") == "\\t":
        chosen["delimiter"] = "\t"
    return chosen


def _mapped(text: str) -> tuple[str, str]:
    column, _, attribute = text.rpartition("=")
    if not column or not attribute:
        raise CommandError(f"--map {text!r}: please write COLUMN=ATTRIBUTE.")
    return attribute, column


def _previewed(preview: Preview) -> dict[str, Any]:
    layout = preview.sample.layout
    return {
        "format": layout.format,
        "encoding": layout.encoding,
        "delimiter": layout.delimiter,
        "mapping": dict(preview.mapping.columns),
        "unused": [name for name in preview.sample.columns if name not in preview.mapping.columns.values()],
        "rows": [
            {"line": line, "fault": read.told}
            if isinstance(read, Fault)
            else {"line": line, **{n: v for n, v in zip(FIELDS, read, strict=True) if v != ""}}
            for line, read in preview.rows
        ],
    }


def _shown_preview(preview: dict[str, Any]) -> Iterator[str]:
    yield from table(
        ("Attribute", "Column"), [(LABELS[name], column) for name, column in preview["mapping"].items()]
    )
    yield ""
    yield from pairs([("Not used", ", ".join(preview["unused"]) or "nothing")])
    yield ""
    said = [name for name in FIELDS if any(name in row for row in preview["rows"])]
    yield from table(
        ("Line", *said),
        [
            (row["line"], meaning(row["fault"]["code"]), *[""] * (len(said) - 1))
            if "fault" in row
            else (row["line"], *(row.get(name, "") for name in said))
            for row in preview["rows"]
        ],
    )
