"""The worker's end of the project. Knows no job: the apps name theirs in `tasks`."""

import os

import structlog
from celery import Celery, Task
from celery.signals import setup_logging
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "identity_hub.settings")

_log = structlog.get_logger("identity_hub.celery")


class OutboxTask(Task):
    """A job whose order is already on record in PostgreSQL: publishing it only makes it come sooner."""

    abstract = True

    def apply_async(self, *args, **kwargs):  # type: ignore[no-untyped-def]
        """Publishes the job; None when the broker is away (beat finds the outbox row later)."""
        try:
            return super().apply_async(*args, **kwargs)
        except (OperationalError, RedisError, OSError) as error:
            _log.warning("broker:away", task=self.name, error=type(error).__name__)
            return None


app = Celery("identity_hub", task_cls=OutboxTask)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def _keep_django_logging(**kwargs: object) -> None:
    """Celery would replace the log format; Django has set it up already."""
