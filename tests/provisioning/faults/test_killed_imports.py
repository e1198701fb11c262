"""An `import_roster` that is killed in the middle of its file goes on when it is given again."""

import subprocess
import sys
from pathlib import Path

import pytest

from identity_hub.local.places import wait_until
from identity_hub.settings import BASE_DIR
from provisioning.models import AuditRecord, Roster, RosterRow

from ..cast import house
from .test_faults import database_url, environment

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

ROWS = 40_000


def test_a_killed_import_goes_on_where_it_stopped(tmp_path: Path) -> None:
    where = house("acme")
    listing = tmp_path / "people.csv"
    listing.write_text("id,userName\n" + "".join(f"e{n},p{n}@acme.example\n" for n in range(ROWS)))
    command = [sys.executable, "manage.py", "import_roster", str(listing), "--json"]
    command += ["--connection", str(where.connection.pk), "--reason", "As agreed"]
    at_home = {"cwd": BASE_DIR, "env": environment(database_url(), "redis://127.0.0.1:1/0")}

    with subprocess.Popen(command, **at_home, stdout=subprocess.DEVNULL) as first:
        begun = wait_until(lambda: Roster.objects.filter(row_count__gt=0).exists(), seconds=90)
        first.kill()
    assert begun
    stopped = Roster.objects.get()
    assert stopped.status == "loading"
    assert 0 < stopped.row_count < ROWS
    assert RosterRow.objects.filter(roster_id=stopped.pk).count() == stopped.row_count

    subprocess.run(command, **at_home, stdout=subprocess.DEVNULL, check=True)
    ended = Roster.objects.get()
    assert (ended.pk, ended.status, ended.row_count) == (stopped.pk, "complete", ROWS)
    rows = RosterRow.objects.filter(roster_id=ended.pk)
    assert (rows.count(), rows.values("line").distinct().count()) == (ROWS, ROWS)
    told = AuditRecord.objects.filter(object_id=ended.pk).order_by("id").values_list("reason", flat=True)
    assert list(told) == ["roster:begun", "roster:given-again", "roster:completed"]
