"""How gunicorn serves the hub (`gunicorn -c python:identity_hub.web identity_hub.wsgi`). Knows no address."""

import gc
import shutil
from pathlib import Path
from typing import Any

from django.urls import get_resolver
from prometheus_client import multiprocess

from identity_hub import settings

bind = settings.WEB_BIND
workers = settings.WEB_WORKERS
# Threads keep their database connection from request to request; see DATABASES.
worker_class = "gthread"
threads = settings.WEB_THREADS
timeout = 30
graceful_timeout = 10
keepalive = 5
# The hub logs its own requests, without query strings.
accesslog = None
errorlog = "-"
loglevel = "warning"
# Its default address is one for all gunicorns of a user.
control_socket_disable = True
forwarded_allow_ips = "*" if settings.BEHIND_PROXY else "127.0.0.1,::1"
# SCIM filters travel in the query.
limit_request_line = 8190
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - a heartbeat file, made by gunicorn


def on_starting(server: Any) -> None:
    """Numbers of an earlier run would be added to those of this one."""
    if folder := settings.PROMETHEUS_MULTIPROC_DIR:
        shutil.rmtree(folder, ignore_errors=True)
        Path(folder).mkdir(parents=True, mode=0o700)


def post_worker_init(worker: Any) -> None:
    """Django imports the views at the first request; a person should not wait for that."""
    get_resolver().url_patterns  # noqa: B018 - reading it is what imports them
    # All that is there by now stays. A batch of a thousand makes a million objects more, and nearly none in a circle:
    # looking for those after every few hundred took a sixth of its time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def child_exit(server: Any, worker: Any) -> None:
    if settings.PROMETHEUS_MULTIPROC_DIR:
        multiprocess.mark_process_dead(worker.pid)
