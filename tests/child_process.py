"""What a test gives to a Python process that it starts."""

from __future__ import annotations

import os
import sys


def with_tests() -> dict[str, str]:
    """Return this environment, in which a child also imports what this process can: `tests`, for one."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
