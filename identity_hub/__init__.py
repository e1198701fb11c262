"""The roof: wires the floors into one Django project. Knows no rule of the domain."""

# Every process that may publish a job needs this app, or `shared_task` would use Celery's default broker.
from identity_hub.celery import app as celery_app

__all__ = ["celery_app"]
