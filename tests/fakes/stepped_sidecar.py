"""A sidecar for libfaketime, run by its path; with the argument `zygote` its zygote.

libfaketime 0.9.10 answers time.sleep() with EINVAL when it leaves the monotonic clock alone; waiting for nothing does the same.
"""

import runpy
import select
import sys
import time

from flotilla.engine_sidecar.__main__ import main


def sleep(seconds: float) -> None:
    select.select([], [], [], seconds)


if __name__ == "__main__":
    vars(time)["sleep"] = sleep
    if sys.argv[1:2] == ["zygote"]:
        del sys.argv[1]
        runpy.run_module("flotilla.engine_sidecar.fork.zygote", run_name="__main__")
    else:
        sys.exit(main((sys.executable, "-u", __file__, "zygote")))
