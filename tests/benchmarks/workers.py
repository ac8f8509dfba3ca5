"""Processes that measure: each prints one line of JSON a point, and is ended where a point takes too long."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

LARGEST = 12 * 2**30
"""Bytes of data that a worker may hold: a peer that unrolls thousands of operations takes all that there is."""


def limit_data() -> None:
    """Bound this process's own memory, where the system knows how."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (LARGEST, LARGEST))
    except (ImportError, ValueError, OSError):
        pass


def environment(**extra: str) -> dict[str, str]:
    """What a worker runs in: this process's surroundings and more."""
    return {**os.environ, "PYTHONWARNINGS": "ignore", **extra}


class Worker:
    """A module of this folder in a process of its own, which prints a line of JSON for each point."""

    def __init__(self, module: str, *arguments: str, env: dict[str, str] | None = None) -> None:
        command = [sys.executable, "-m", f"{__package__}.{module}", *arguments]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env or environment(), start_new_session=True
        )
        self._rest = b""

    def wait(self, patience: float) -> None:
        """Until the worker says that it is there; what it said instead is an error."""
        if self.line(patience) != "here":
            _, told = self.process.communicate()
            raise RuntimeError(f"a worker did not start: {told.decode()[-2000:]}")

    def line(self, patience: float) -> Any:
        """The next point; None at the end.

        Raises
        ------
        TimeoutError
            Where it does not come in time; the worker is ended then, and what it started.
        """
        assert self.process.stdout is not None
        pipe = self.process.stdout.fileno()
        while b"\n" not in self._rest:
            if not select.select([pipe], [], [], patience)[0]:
                self.end()
                raise TimeoutError(f"took longer than {patience:g} s")
            read = os.read(pipe, 1 << 16)
            if not read:
                return None
            self._rest += read
        text, _, self._rest = self._rest.partition(b"\n")
        return json.loads(text)

    def end(self) -> None:
        """End the process, all that it started, and close its pipes."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *exception: object) -> None:
        self.end()


def tell(point: Any) -> None:
    """A worker's point to the process that started it."""
    print(json.dumps(point), flush=True)


def points(module: str, arguments: Sequence[str], patience: float, env: dict[str, str] | None = None) -> Iterator[Any]:
    """All points of a worker, as far as they come in time; before them it says that it is there."""
    with Worker(module, *arguments, env=env) as worker:
        worker.wait(60.0)
        while True:
            try:
                point = worker.line(patience)
            except TimeoutError:
                return
            if point is None:
                return
            yield point
