"""A key that is pressed, at every place where Python would notice it.

The interpreter looks for a signal when a function begins, when a call has returned and when a loop goes round. Here an
exception is raised at the n-th of these places, for a chosen n, in whatever code runs there.
"""

import dis
import functools
import inspect
import os
import sys

LOOKS = frozenset(
    dis.opmap[name]
    for name in ("CALL", "CALL_FUNCTION_EX", "CALL_KW", "JUMP_BACKWARD", "CALL_INTRINSIC_1")
    if name in dis.opmap
)
"""After these instructions the interpreter looks whether a signal has come."""


@functools.cache
def _after(code):
    """The offsets of the instructions before which there was such a look."""
    found, before = set(), None
    for step in dis.get_instructions(code):
        if step.opname == "CACHE":
            continue
        if before is not None and before.opcode in LOOKS and before.opname != "JUMP_BACKWARD":
            found.add(step.offset)
        if step.opname == "JUMP_BACKWARD":
            found.add(step.argval)
        before = step
    return frozenset(found)


@functools.cache
def _start(code):
    """The offset of the instruction with which a function begins to run."""
    return next(step.offset for step in dis.get_instructions(code) if step.opname == "RESUME")


class Interrupts:
    """Runs a call and raises `error` at the look number `at`; counts the looks where that is None.

    With `only` the looks in code of files of these names are the ones that count.
    """

    def __init__(self, at=None, error=None, only=None):
        self.at, self.error, self.only = at, error, only
        self.count = 0
        self.where = None

    def _look(self, frame):
        if self.only is not None and os.path.basename(frame.f_code.co_filename) not in self.only:
            return
        self.count += 1
        if self.count == self.at:
            self.where = f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}"
            sys.settrace(None)
            raise self.error

    def _enters(self, frame, event, arg):
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if not (frame.f_code.co_flags & inspect.CO_GENERATOR and frame.f_lasti > _start(frame.f_code)):
            self._look(frame)  # a generator that goes on may do so to be closed, where nobody would hear of it
        return self._runs

    def _runs(self, frame, event, arg):
        if event == "opcode" and frame.f_lasti in _after(frame.f_code):
            self._look(frame)
        return self._runs

    def run(self, call):
        """What the call returns; what it raises."""
        before = sys.gettrace()
        sys.settrace(self._enters)
        try:
            return call()
        finally:
            sys.settrace(before)
