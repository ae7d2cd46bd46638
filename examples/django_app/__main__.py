"""The shop's `manage.py`: `python -m examples.django_app runserver`, or `... sojourn sessions list`."""

from __future__ import annotations

import os
import sys

from django.core.management import execute_from_command_line  # type: ignore[import-untyped]

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "examples.django_app.settings")
execute_from_command_line(sys.argv)
