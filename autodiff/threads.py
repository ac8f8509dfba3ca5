"""Large work in parts, on as many threads as are worth it.

NumPy releases the interpreter's lock inside its loops, so threads of Python's share the cores. How work is cut into
parts depends on shapes alone, never on the number of threads; so the bits do not depend on it either.
"""

from __future__ import annotations

import contextvars
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from .errors import SettingError, message

WORTH = 1 << 17
"""Elements times operations from which a second thread is worth its start."""

_pool: ThreadPoolExecutor | None = None
_threads = 0
_here = threading.local()  # .busy: this thread works on parts already; parts of parts are not handed on


def set_threads(count: int | None) -> None:
    """How many threads may share large pointwise work, compiled or in the rules of layers; None for one a core.

    The results are the same, bit for bit, for any number. NumPy's own products (BLAS) have threads of their own.

    Parameters
    ----------
    count : int or None
        1 or more; None for one a core.

    Raises
    ------
    SettingError
        Where the count is not a whole number above 0.

    Examples
    --------
    >>> import autodiff as ad
    >>> ad.set_threads(1)
    >>> ad.set_threads(None)
    """
    global _pool, _threads
    if count is not None and (type(count) is not int or count < 1):
        raise SettingError(
            message(
                f"set_threads({count!r})",
                "work is done on one thread at least",
                "ad.set_threads(2), or None for one a core",
            )
        )
    _threads, _pool = count or 0, None


def threads() -> int:
    """How many threads may work at once."""
    if _threads:
        return _threads
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _workers() -> ThreadPoolExecutor:
    global _pool
    pool = _pool
    if pool is None:
        pool = _pool = ThreadPoolExecutor(max(1, threads() - 1), thread_name_prefix="autodiff")
    return pool


def _forget() -> None:
    """After a fork the threads of the pool are gone."""
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def spread(part: Callable[[int, int], None], count: int, work: int, most: int = 1 << 30) -> None:
    """Call ``part(number, thread)`` for every number below `count`, where threads count from 0.

    `work` is the number of elements times operations; at most `most` threads take part. What is raised is raised here,
    and not before every thread has left its part: what parts write into may have another user right after.
    """
    alone = work < WORTH or getattr(_here, "busy", False)
    helpers = 0 if alone else min(most, threads(), count) - 1
    if helpers <= 0:
        for number in range(count):
            part(number, 0)
        return
    numbers = deque(range(count))  # shared: each part goes to the thread that is free

    def loop(thread: int) -> None:
        try:
            _here.busy = True
            while numbers:
                try:
                    number = numbers.popleft()
                except IndexError:  # another thread took the last one
                    break
                part(number, thread)
        except BaseException:
            numbers.clear()  # nobody begins another one
            raise
        finally:
            _here.busy = False

    handed: list[Future[None]] = []
    try:
        pool = _workers()
        for k in range(helpers):
            handed.append(Future())
            try:
                pool.submit(_help, handed[-1], contextvars.copy_context(), loop, k + 1)
            except RuntimeError:  # no further thread can be started, or the interpreter is about to end
                break
        loop(0)
    finally:
        _wait(handed, numbers)
    failed = [error for future in handed if not future.cancelled() and (error := future.exception()) is not None]
    handed.clear()
    try:
        if failed:
            raise failed[0]
    finally:
        failed.clear()  # this frame is in its traceback, as that of the thread is: cycles otherwise


def _help(future: Future[None], context: contextvars.Context, loop: Callable[[int], None], thread: int) -> None:
    """What a thread of the pool does, unless the work was done before it came to it."""
    if future.set_running_or_notify_cancel():
        error: BaseException | None = None
        try:
            context.run(loop, thread)
        except BaseException as caught:  # raised where the work is handed out
            error = caught.with_traceback(caught.__traceback__ and caught.__traceback__.tb_next)  # this frame has both
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)


def _wait(handed: list[Future[None]], numbers: deque[int]) -> None:
    """Wait for the threads that have begun, also where Ctrl-C comes in between: then for no more than one part each."""
    begun = [future for future in handed if not future.cancel()]
    interrupt: BaseException | None = None
    while True:
        try:
            wait(begun)
            break
        except BaseException as error:
            interrupt = error
            numbers.clear()
    if interrupt is not None:
        try:
            raise interrupt
        finally:
            del interrupt
