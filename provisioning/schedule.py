"""When the jobs come round. Knows their names only; django-celery-beat copies it into the database."""

from typing import Any

from celery.schedules import crontab

SCHEDULE: dict[str, dict[str, Any]] = {
    # The outbox is nudged at each commit; this finds what a lost nudge left and what failed earlier.
    "drain-outbox": {
        "task": "provisioning.tasks.drain_outbox",
        "schedule": 5.0,
        "options": {"expires": 5},
    },
    # Before the runs, so that they decide about what was listed this night.
    "pull-rosters": {
        "task": "provisioning.tasks.pull_rosters",
        "schedule": crontab(hour="0", minute="47"),
        "options": {"expires": 3600},
    },
    "reconcile-all": {
        "task": "provisioning.tasks.reconcile_all",
        "schedule": crontab(hour="2", minute="17"),
        "options": {"expires": 3600},
    },
    # After the runs of the night, so that it asks about what they have left.
    "look-for-doubts": {
        "task": "provisioning.tasks.look_for_doubts",
        "schedule": crontab(hour="3", minute="17"),
        "options": {"expires": 3600},
    },
    "warn-of-overdue-runs": {
        "task": "provisioning.tasks.warn_of_overdue_runs",
        "schedule": crontab(minute="40"),
        "options": {"expires": 3600},
    },
    # An end that was promised for eight o'clock is not kept at nine.
    "end-overrides": {
        "task": "provisioning.tasks.end_overrides",
        "schedule": crontab(minute="*/5"),
        "options": {"expires": 300},
    },
    "purge-deleted": {
        "task": "provisioning.tasks.purge_deleted",
        "schedule": crontab(hour="4", minute="5"),
        "options": {"expires": 3600},
    },
    # After the runs of the night, which end what slipped through, and before people come to work.
    "check-invariants": {
        "task": "provisioning.tasks.check_invariants",
        "schedule": crontab(hour="5", minute="29"),
        "options": {"expires": 3600},
    },
    "resume-rosters": {
        "task": "provisioning.tasks.resume_rosters",
        "schedule": crontab(minute="*/10"),
        "options": {"expires": 600},
    },
    "trim-rosters": {
        "task": "provisioning.tasks.trim_rosters",
        "schedule": crontab(minute="50"),
        "options": {"expires": 3600},
    },
    "trim-runs": {
        "task": "provisioning.tasks.trim_runs",
        "schedule": crontab(hour="4", minute="35"),
        "options": {"expires": 3600},
    },
    "trim-requests": {
        "task": "provisioning.tasks.trim_requests",
        "schedule": crontab(minute="20"),
        "options": {"expires": 3600},
    },
    "trim-sessions": {
        "task": "provisioning.tasks.trim_sessions",
        "schedule": crontab(minute="35"),
        "options": {"expires": 3600},
    },
    "warn-of-token-expiry": {
        "task": "provisioning.tasks.warn_of_token_expiry",
        "schedule": crontab(minute="5"),
        "options": {"expires": 3600},
    },
    # Hourly, and each domain once a day: an hour's share is short, and a missed hour costs an hour.
    "look-at-domains": {
        "task": "provisioning.tasks.look_at_domains",
        "schedule": crontab(minute="10"),
        "options": {"expires": 3600},
    },
    "warn-of-certificate-expiry": {
        "task": "provisioning.tasks.warn_of_certificate_expiry",
        "schedule": crontab(minute="8"),
        "options": {"expires": 3600},
    },
    "trim-access-tokens": {
        "task": "provisioning.tasks.trim_access_tokens",
        "schedule": crontab(minute="20"),
        "options": {"expires": 3600},
    },
}
