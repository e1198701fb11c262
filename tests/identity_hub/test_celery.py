"""A job whose order is on record may be published in vain."""

from celery import Celery

from identity_hub.celery import OutboxTask


def test_publishing_without_a_broker_neither_raises_nor_waits() -> None:
    app = Celery("test", task_cls=OutboxTask, broker="redis://127.0.0.1:1/0")
    app.conf.update(
        task_publish_retry=False,
        task_ignore_result=True,
        broker_transport_options={"max_retries": 0, "socket_connect_timeout": 0.5},
    )

    @app.task(name="test.job")
    def job() -> None: ...

    assert job.delay() is None
