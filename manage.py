#!/usr/bin/env python
"""The operator's door. Knows nothing but where the settings are."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "identity_hub.settings")
    execute_from_command_line(sys.argv)
