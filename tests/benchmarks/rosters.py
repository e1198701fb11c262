"""Loads a roster of a million people from a CSV file, as `import_roster` does it, and prints Markdown.

Knows the command from outside: seconds and memory are those of its process, from its start to its end.
"""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from django.db import connection

from identity_hub.core.ids import new_id
from identity_hub.settings import BASE_DIR
from provisioning.services import configuration
from tests.benchmarks.population import OPERATOR

LARGE = 1_000_000
SMALL = 100_000
MUST_SECONDS = 60
MUST_MIB = 300

_HEADER = (
    "userPrincipalName,displayName,surname,mail,givenName,id,userType,jobTitle,department,"
    "accountEnabled,employeeId"
)
_TITLES = ("Engineer", '"Director, EMEA"', "Analyst", "Lead", "")
_DEPARTMENTS = ("Sales", "R&D", "Finance", "People & Culture")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loading:
    people: int
    file_mib: float
    seconds: float
    own_seconds: float
    """Of the processor, in the command's process alone."""
    mib: float
    """Of the process at its largest."""


def report(*, heavy: bool) -> None:
    loadings = [measure(people) for people in ((SMALL, LARGE) if heavy else (SMALL,))]
    print("\n| rows of a roster | file MiB | seconds | of them its own | rows/s | process MiB | must |")
    print("|---:|---:|---:|---:|---:|---:|---|")
    for one in loadings:
        must = f"{MUST_SECONDS} s, {MUST_MIB} MiB" if one.people == LARGE else ""
        print(
            f"| {one.people:,} | {one.file_mib:.0f} | {one.seconds:.1f} | {one.own_seconds:.1f} "
            f"| {one.people / one.seconds:,.0f} | {one.mib:.0f} | {must} |"
        )


def measure(people: int) -> Loading:
    slug = f"rosters-{people}-{new_id().hex[-8:]}"
    tenant = configuration.create_tenant(
        slug=slug, name=slug, domains=[f"{slug}.example"], actor=OPERATOR, reason="As agreed"
    )
    where = configuration.create_connection(
        tenant=tenant, name="Bench", status="active", actor=OPERATOR, reason="As agreed"
    )
    with TemporaryDirectory(prefix="hub-roster-") as folder:
        path = Path(folder) / "people.csv"
        _write(path, people)
        started = time.perf_counter()
        command = [
            sys.executable,
            "manage.py",
            "import_roster",
            str(path),
            "--connection",
            str(where.pk),
            "--reason",
            "Measured",
            "--json",
        ]
        process = subprocess.Popen(
            command, cwd=BASE_DIR, env=dict(os.environ), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert process.stdout is not None
        said = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        size = path.stat().st_size
    if status or json.loads(said)["roster"]["rows"] != people:
        raise SystemExit(f"import_roster: {said[:500]!r}")
    with connection.cursor() as cursor:
        # The database of the benchmarks lasts, and nobody asks for these rows again.
        cursor.execute("TRUNCATE provisioning_rosterrow")
    return Loading(
        people=people,
        file_mib=size / 2**20,
        seconds=seconds,
        own_seconds=used.ru_utime + used.ru_stime,
        mib=used.ru_maxrss / 1024,
    )


def _write(path: Path, people: int) -> None:
    """As Entra ID exports users, with letters beyond ASCII."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(f"{_HEADER}\r\n")
        for number in range(people):
            name = f"person{number}@contoso.example"
            title, department = _TITLES[number % 5], _DEPARTMENTS[number % 4]
            file.write(
                f"{name},Given{number} Müller,Müller,{name},Given{number},{number:08x}-1111-4222-8333-{number:012x},"
                f"Member,{title},{department},True,{100_000 + number}\r\n"
            )
