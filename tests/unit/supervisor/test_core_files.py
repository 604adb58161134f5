"""A supervisor that crashes leaves no file of its memory, and neither do the local engines that inherit its limits."""

import subprocess
import sys

TELL = """
import resource
from flotilla.services.supervisor.__main__ import leave_no_core
hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
leave_no_core()
print(resource.getrlimit(resource.RLIMIT_CORE))
"""


def test_no_core_is_left() -> None:
    told = subprocess.run([sys.executable, "-c", TELL], check=True, text=True, stdout=subprocess.PIPE)
    assert told.stdout.strip() == "(0, 0)"
