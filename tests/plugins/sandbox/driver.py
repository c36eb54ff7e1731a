"""Runs one job on one sandbox level as the user that starts it, and prints its end as JSON. Its argument is the job.

Among the job's arguments PROGRAM stands for the process id of this program.
"""

import json
import os
import sys
import time
from collections.abc import Callable

from orchestrator.errors import SandboxError
from orchestrator.spi import Job
from orchestrator_sandbox.job_process import run_job
from orchestrator_sandbox.level_selection import LevelSelector
from orchestrator_sandbox.levels import Bwrap, Containment, Landlock, Plain


def main() -> None:
    """Do what the argument says."""
    asked = json.loads(sys.argv[1])
    if asked == "survey":
        found = {survey.level.value: [survey.holds, survey.detail] for survey in LevelSelector().surveys()}
        sys.stdout.write(json.dumps(found))
        return
    makers: dict[str, Callable[[], Containment | None]] = {"bwrap": Bwrap.find, "landlock": Landlock, "none": Plain}
    containment = makers[asked["level"]]()
    assert containment is not None
    arguments = [str(os.getpid()) if each == "PROGRAM" else each for each in asked["arguments"]]
    argv = (sys.executable, "-I", "hostile.py", *arguments)
    job = Job(argv, {"hostile.py": asked["source"].encode()}, tuple(asked["take"]), asked["seconds"], asked["loopback"])
    began = time.monotonic()
    try:
        ran = run_job(containment, job)
    except SandboxError as error:
        sys.stdout.write(json.dumps({"error": str(error)}))
        return
    taken = {name: content.decode("latin-1") for name, content in ran.files.items()}
    sys.stdout.write(
        json.dumps(
            {
                "code": ran.code,
                "output": ran.output,
                "files": taken,
                "ended": ran.ended,
                "seconds": time.monotonic() - began,
                "error": "",
            }
        )
    )


if __name__ == "__main__":
    main()
