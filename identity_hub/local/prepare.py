"""What must be there before the hub serves: tables, files, an administrator, the demo. Safe to repeat.

One process for all of it: each start of Django costs more than most of these steps. Prints what
`create_administrator` said, as JSON.
"""

import io
import os

import django
from django.core.management import call_command

from identity_hub.settings import HUB_DEMO, env


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "identity_hub.settings")
    django.setup()
    call_command("migrate", interactive=False, verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)
    said = io.StringIO()
    password = ["--password-env", "HUB_ADMIN_PASSWORD"] if env.get("HUB_ADMIN_PASSWORD") else []
    name = env.get("HUB_ADMIN_USER") or "admin"
    why = ("--reason", "The first administrator of this hub.")
    call_command("create_administrator", "--user-name", name, *password, *why, "--json", stdout=said)
    if HUB_DEMO:
        call_command("setup_demo", stdout=io.StringIO())
    print(said.getvalue())


if __name__ == "__main__":
    main()
