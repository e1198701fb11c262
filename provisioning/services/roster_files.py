"""A roster's file: looked at, mapped and loaded; an uploaded one is kept in pieces between its upload and its loading.

Knows files; what a roster needs to be complete is `services.rosters`'s matter.
"""

import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db import transaction

from identity_hub.core.clock import now
from provisioning import outbox
from provisioning.decision.reasons import Act
from provisioning.decision.types import Actor
from provisioning.models import Connection, Roster, RosterPart
from provisioning.roster import Fault, Unreadable, Values, files
from provisioning.roster.files import Layout, Open, Sample
from provisioning.roster.mapping import INVERTED, ColumnMap, Wrong, checked
from provisioning.roster.proof import Refusal
from provisioning.roster.text import CHUNK, ENCODINGS, Survey, Surveyor, survey

from . import rosters
from .invalid import Invalid, needed_reason

LARGEST = 512 * 1024 * 1024
"""Bytes."""
SHOWN = 20
"""Rows of a preview."""
OPPOSITE = {"active": INVERTED, INVERTED: "active"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a mapping makes of the first rows: (line, the values or what is wrong) each."""

    sample: Sample
    mapping: ColumnMap
    rows: list[tuple[int, Values | Fault]]


def look_at(
    open_: Open,
    *,
    name: str,
    options: Mapping[str, str],
    mapped: Mapping[str, str],
    without: Iterable[str] = (),
) -> tuple[Survey, Preview]:
    """What an unloaded file is, and what a mapping makes of it: as guessed, but for what is `mapped` (attribute ->
    column) or left out. Raises Invalid, and Unreadable."""
    with open_() as file:
        seen = survey(file)
    sample = look(open_, seen, name, options)
    guessed = {attribute: column for attribute, column in sample.mapping.items() if attribute not in without}
    if OPPOSITE.keys() & mapped.keys():
        guessed = {a: column for a, column in guessed.items() if OPPOSITE.get(a) not in mapped}
    return seen, preview(sample, {**guessed, **mapped})


def import_file(
    *,
    connection: Connection,
    open_: Open,
    seen: Survey,
    preview: Preview,
    name: str,
    actor: Actor,
    reason: str,
    as_of: datetime | None = None,
    expected: int | None = None,
    shrinking_accepted: str = "",
    progress: rosters.Progress | None = None,
) -> Roster:
    """Loads a file where it lies; one whose loading stopped goes on there. Raises Invalid, `rosters.Elsewhere`."""
    reason = needed_reason(reason)
    layout, mapping = preview.sample.layout, preview.mapping
    source = files.source(open_, layout, mapping)
    said: dict[str, Any] = {
        "actor": actor,
        "reason": reason,
        "as_of": as_of,
        "expected": expected,
        "shrinking_accepted": shrinking_accepted,
    }
    roster = rosters.unfinished(connection, digest=seen.digest, mapping=mapping)
    if roster is not None:
        rosters.take_up(roster=roster, **said)
    else:
        roster = rosters.begin(
            connection=connection,
            kind=source.kind,
            fields=source.fields,
            mapping=mapping,
            layout=layout.told,
            name=name,
            digest=seen.digest,
            **said,
        )
    return rosters.receive(roster=roster, source=source, progress=progress)


def refuse_unread(
    *,
    connection: Connection,
    name: str,
    error: Unreadable,
    actor: Actor,
    reason: str,
    as_of: datetime | None = None,
) -> Roster:
    """The record of a file that is of no use at all."""
    kind = "jsonl" if files.is_named_json(name) else "csv"
    roster = rosters.begin(
        connection=connection, kind=kind, fields=(), actor=actor, reason=reason, as_of=as_of, name=name
    )
    return rosters.refuse(roster, Refusal(flaw=error.flaw, sentence=error.sentence))


def keep(
    *,
    connection: Connection,
    pieces: Iterable[bytes],
    name: str,
    actor: Actor,
    reason: str,
    as_of: datetime | None = None,
    expected: int | None = None,
    options: Mapping[str, str] | None = None,
) -> Roster:
    """Keeps a file as a draft, mapped as guessed. `options` are what is not to be guessed (`look`). Raises Invalid."""
    reason, at = needed_reason(reason), now()
    rosters.require_moment(as_of, at)
    surveyor = Surveyor()
    with transaction.atomic():
        roster = Roster.objects.create(
            tenant_id=connection.tenant_id,
            connection=connection,
            source=Roster.Source.CSV,
            status=Roster.Status.DRAFT,
            as_of=min(as_of or at, at),
            started_at=at,
            expected=expected,
            name=name[:200],
            requested_by=actor.signature,
        )
        size = 0
        for number, piece in enumerate(_whole(pieces)):
            size += len(piece)
            if size > LARGEST:
                raise Invalid(
                    "file", "The file is larger than 512 MiB; load it with manage.py import_roster."
                )
            try:
                surveyor.take(piece)
            except Unreadable as error:
                raise Invalid("file", error.sentence) from None
            RosterPart.objects.create(tenant_id=roster.tenant_id, roster=roster, number=number, content=piece)
        try:
            seen = surveyor.survey()
            sample = look(opened(roster), seen, name, options or {})
        except Unreadable as error:
            raise Invalid("file", error.sentence) from None
        roster.source = sample.layout.format
        roster.layout = sample.layout.told
        roster.mapping = sample.mapping
        roster.digest = seen.digest
        roster.save()
        rosters.record_act(roster, actor, Act.ROSTER_UPLOADED, why=reason, bytes=seen.size)
    return roster


def look(open_: Open, seen: Survey, name: str, options: Mapping[str, str]) -> Sample:
    """The beginning of a file. Raises Unreadable, and Invalid for an option that names nothing."""
    encoding = options.get("encoding", "")
    if encoding and encoding not in ENCODINGS:
        raise Invalid("encoding", f"The hub reads {', '.join(ENCODINGS)}.")
    for option in ("delimiter", "quote"):
        if len(options.get(option, "")) > 1 or options.get(option, "") in ("\n", "\r", "\0"):
            raise Invalid(option, "Please give one character.")
    if options.get("delimiter") and options.get("delimiter") == options.get("quote", '"'):
        raise Invalid("delimiter", "What separates columns cannot be a quote, too.")
    return files.look(open_, seen, name=name, **options)


def preview(sample: Sample, mapping: Mapping[str, str]) -> Preview:
    """Raises Invalid."""
    try:
        columns = checked(mapping, sample.columns)
    except Wrong as error:
        raise Invalid("mapping", str(error)) from None
    read = columns.reader_of(sample.columns)
    return Preview(
        sample=sample,
        mapping=columns,
        rows=[(line, read(line, cells)) for line, cells in sample.cells[:SHOWN]],
    )


def sample_of(roster: Roster) -> Sample:
    """The beginning of a draft's file. Raises Invalid."""
    layout = Layout(**roster.layout)
    seen = Survey(digest=roster.digest, size=0, encoding=layout.encoding, tail=b"")
    try:
        sample = files.look(
            opened(roster),
            seen,
            name=roster.name,
            format=layout.format,
            delimiter=layout.delimiter,
            quote=layout.quote,
        )
    except Unreadable as error:
        raise Invalid("", error.sentence) from None
    return replace(sample, layout=layout)


def take(
    *, roster: Roster, mapping: Mapping[str, str], actor: Actor, reason: str, shrinking_accepted: str = ""
) -> Roster:
    """Has a worker load a draft by this mapping. Raises Invalid."""
    reason = needed_reason(reason)
    columns = preview(sample_of(roster), mapping).mapping
    with transaction.atomic():
        if not Roster.objects.filter(
            tenant_id=roster.tenant_id, pk=roster.pk, status=Roster.Status.DRAFT
        ).update(
            status=Roster.Status.LOADING,
            mapping=dict(columns.columns),
            fields=columns.fields,
            shrinking_accepted=shrinking_accepted[:500],
            requested_by=actor.signature,
        ):
            raise Invalid("", "This file has been taken or thrown away already.")
        rosters.record_act(roster, actor, Act.ROSTER_BEGUN, why=reason)
        outbox.enqueue([("roster.load", {"roster": str(roster.pk)}, roster.tenant_id)])
    roster.refresh_from_db()
    return roster


def discard(*, roster: Roster, reason: str, actor: Actor) -> None:
    """Throws a draft away. Raises Invalid."""
    reason = needed_reason(reason)
    with transaction.atomic():
        draft = Roster.objects.select_for_update().filter(
            tenant_id=roster.tenant_id, pk=roster.pk, status=Roster.Status.DRAFT
        )
        if not draft.exists():
            raise Invalid("", "This file has been taken or thrown away already.")
        RosterPart.objects.filter(tenant_id=roster.tenant_id, roster=roster).delete()
        rosters.record_act(roster, actor, Act.ROSTER_DISCARDED, why=reason)
        draft.delete()


def load(roster: Roster) -> Roster:
    """Loads an uploaded file, or goes on where that stopped."""
    source = files.source(opened(roster), Layout(**roster.layout), ColumnMap(columns=roster.mapping))
    return rosters.receive(roster=roster, source=source)


def opened(roster: Roster) -> Open:
    """The kept file, to be read as often as one likes."""
    return lambda: io.BufferedReader(_Parts(roster), CHUNK)


class _Parts(io.RawIOBase):
    """The pieces of a file one after the other; one of them is in memory at a time."""

    def __init__(self, roster: Roster) -> None:
        self._rows = RosterPart.objects.filter(tenant_id=roster.tenant_id, roster=roster)
        self._number = 0
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            content = self._rows.filter(number=self._number).values_list("content", flat=True).first()
            if content is None:
                return 0
            self._number += 1
            self._left = memoryview(content)
        taken = self._left[: len(buffer)]
        buffer[: len(taken)] = taken
        self._left = self._left[len(taken) :]
        return len(taken)


def _whole(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of CHUNK, but the last."""
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        while len(waiting) >= CHUNK:
            yield bytes(waiting[:CHUNK])
            del waiting[:CHUNK]
    if waiting:
        yield bytes(waiting)
