"""The command line: ``python -m autodiff``. Reads it, calls :mod:`autodiff.cli`, and says what happened.

Exit codes: 0 done, 1 a check failed, 2 usage or bad input, 130 interrupted. A mistake on the command line or in how a
function is written is told in one paragraph; an exception that the user's own file raises keeps its traceback.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

from . import __version__
from .cli import catalogue, check, diff, doctor, draw, explore, flow, operations, source
from .cli.target import source_file
from .demo import EPOCHS, QUICK_EPOCHS
from .demo import run as run_demo
from .errors import AutodiffError, CheckError

DONE, FAILED, REFUSED, INTERRUPTED = 0, 1, 2, 130


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="python -m autodiff",
        description="Gradients of NumPy code, with a graph that you can see.",
        epilog="`python -m autodiff COMMAND --help` shows the examples of a command.\n\nexit codes: "
        "0 done, 1 a check failed, 2 usage or bad input, 130 interrupted",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"autodiff {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    _demo(commands)
    _draw(commands)
    _explore(commands)
    _flow(commands)
    _diff(commands)
    _check(commands)
    _ops(commands)
    _errors(commands)
    _doctor(commands)
    return top


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, about: str, *examples: str
) -> argparse.ArgumentParser:
    epilog = "examples:\n" + "\n".join(f"  python -m autodiff {example}" for example in examples)
    return commands.add_parser(
        name, help=about, description=about[0].upper() + about[1:] + ".", epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip


def _demo(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    p = _command(
        commands, "demo", "train a residual network on handwritten digits and draw where its gradient went",
        "demo", "demo -o pictures --epochs 10", "demo --quick",
    )  # fmt: skip
    here = Path("autodiff-demo")
    p.add_argument("-o", "--out", metavar="DIR", type=Path, default=here, help="folder to write into [%(default)s]")
    p.add_argument("--epochs", type=_count, metavar="N", help=f"passes over the training images [{EPOCHS}]")
    p.add_argument("--seed", type=_natural, default=0, metavar="N", help="of weights, order and noise [%(default)s]")
    p.add_argument("--quick", action="store_true", help=f"{QUICK_EPOCHS} epochs, unless --epochs says otherwise")
    p.set_defaults(run=lambda o: run_demo(o.out, o.epochs or (QUICK_EPOCHS if o.quick else EPOCHS), o.seed))


def _target(p: argparse.ArgumentParser, saved: bool = True) -> None:
    about = "a function in a file, which is run to find it, or MODULE:FUNCTION"
    p.add_argument("target", metavar="FILE.py:FUNCTION", help=about + "; or a flow that was saved, RUN.json" * saved)
    _arguments(p)


def _arguments(p: argparse.ArgumentParser) -> None:
    p.add_argument(
        "--args", nargs="+", metavar="ARG",
        help="what to call it with: Python literals (2.0, '[1.0, 2.0]', \"{'w': 'f8[3]'}\") or a dtype with a shape "
        "(f8[3,4]), drawn at random; without --args the file's own example_args() is called",
    )  # fmt: skip
    p.add_argument("--random-seed", type=_natural, default=0, metavar="N", help="of the random arguments [%(default)s]")


def _on_target(p: argparse.ArgumentParser, room: Any) -> None:
    """A command on one function or one saved flow, with the options of its own room."""
    _target(p)
    source.options(p)
    room.options(p)
    p.set_defaults(run=room.run)


def _draw(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    p = _command(
        commands, "draw", "draw the graph of a function with its δ on every node and every edge",
        "draw model.py:loss --args 2.0 3.0 -o loss.svg", "draw model.py:loss --args 'f8[3,4]' 'f8[4]' -o loss.png",
        "draw model.py:loss                    # arguments from model.example_args()",
        "draw run.json --prune 0.98 -o run.png # a flow that was saved, along the edges that carry it",
    )  # fmt: skip
    _on_target(p, draw)


def _explore(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    p = _command(
        commands, "explore", "write a page on which the graph and its δ can be explored in a browser",
        "explore model.py:loss --args 2.0 3.0", "explore model.py:loss --args 'f8[3,4]' 'f8[4]' -o page.html",
    )  # fmt: skip
    _on_target(p, explore)


def _flow(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    p = _command(
        commands, "flow", "print where the gradient goes: skip and residual shares at every join, and the trend of δ",
        "flow model.py:loss --args 'f8[3,4]' 'f8[4]'", "flow model.py:loss --paths x    # by residual branches",
        "flow model.py:loss --table scopes --csv", "flow model.py:loss --save before.json", "flow before.json --json",
    )  # fmt: skip
    _on_target(p, flow)


def _diff(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    p = _command(
        commands, "diff", "compare two flows of the same code, node by node",
        "diff before.json after.json", "diff model.py:first model.py:second --args 'f8[3,4]' --json",
    )  # fmt: skip
    p.add_argument("first", metavar="A", help="a flow that was saved (`flow --save`), or FILE.py:FUNCTION")
    p.add_argument("second", metavar="B", help="the other one")
    _arguments(p)
    source.options(p)
    diff.options(p)
    p.set_defaults(run=diff.run)


def _check(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    p = _command(
        commands, "check", "check the derivatives of a function against finite differences and against each other",
        "check model.py:loss --args 2.0 3.0", "check model.py:loss --order 1 --args 'f8[3,4]'",
    )  # fmt: skip
    _target(p, saved=False)
    check.options(p)
    p.set_defaults(run=check.run)


def _ops(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    p = _command(
        commands, "ops", "list every operation with its rule, and how each public name of NumPy stands to derivatives",
        "ops", "ops sort", "ops --markdown > docs/operations.md", "ops --json",
    )  # fmt: skip
    p.add_argument("word", nargs="?", default="", help="only the operations and names that have it in their name")
    form = p.add_mutually_exclusive_group()
    for flag, text, about in (
        ("--markdown", operations.as_markdown, "as docs/operations.md"),
        ("--edges", operations.edges_as_markdown, "as docs/edges.md: what holds at ties, kinks, zeros, infinities"),
        ("--json", operations.as_json, "for programs"),
    ):
        form.add_argument(flag, dest="text", action="store_const", const=text, help=about)
    p.set_defaults(text=operations.as_text, run=lambda o: print(o.text(o.word)))


def _errors(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    p = _command(
        commands, "errors", "list every error and warning, or show one with a program that raises it and the right one",
        "errors", "errors SeedError", "errors --markdown > docs/errors.md",
    )  # fmt: skip
    p.add_argument("word", nargs="?", default="", help="only those that have it in their name; of one alone, all of it")
    p.add_argument("--markdown", action="store_true", help="as docs/errors.md")
    p.set_defaults(run=lambda o: print(catalogue.as_markdown() if o.markdown else catalogue.as_text(o.word)))


def _doctor(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    p = _command(commands, "doctor", "say what is installed, what is missing and how to get it", "doctor")
    p.set_defaults(run=lambda o: print(doctor.report()))


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a count: at least 1")
    return count


def _natural(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative: a seed is 0 or more")
    return number


def _from_files(error: BaseException, files: set[str]) -> TracebackType | None:
    """The part of a traceback that begins in one of the user's own files; None where it never gets there."""
    frame = error.__traceback__
    while frame is not None and os.path.abspath(frame.tb_frame.f_code.co_filename) not in files:
        frame = frame.tb_next
    return frame


def _told(error: Exception, given: argparse.Namespace) -> int:
    """What an exception that is none of ours is told: that of the user's file with its traceback from there on."""
    specs = [getattr(given, key) for key in ("target", "first", "second") if hasattr(given, key)]
    files = {os.path.abspath(source_file(spec)) for spec in specs}
    own = _from_files(error, files)
    if own is None and isinstance(error, OSError) and error.filename is None:
        return _unwritable(error)
    if own is None and not (isinstance(error, SyntaxError) and os.path.abspath(error.filename or "") in files):
        raise error
    traceback.print_exception(error.with_traceback(own))
    return REFUSED


def _flush() -> int:
    """Hand on what was printed; the exit code says whether that went well."""
    try:
        if sys.stdout is not None:  # it is None where it was closed before we began
            sys.stdout.flush()
    except OSError as error:
        return _unwritable(error)
    return DONE


def _unwritable(error: OSError) -> int:
    """What is printed can go nowhere: no mistake where the reader, such as `head`, has seen enough."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter would try once more at its end
    if isinstance(error, BrokenPipeError):
        return DONE
    print(f"autodiff: the output cannot be written: {error.strerror}", file=sys.stderr)
    return REFUSED


def main(argv: list[str] | None = None) -> int:
    """Run one command; the result is the exit code."""
    for stream in (sys.stdout, sys.stderr):  # where δ cannot be written, its code is
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    top = parser()
    try:
        given = top.parse_args(argv)
    except SystemExit:  # --help and --version have printed, or a mistake was told
        if _flush() != DONE:
            return REFUSED
        raise
    if given.command is None:
        top.print_help()
        return _flush()
    try:
        given.run(given)
        return _flush()
    except CheckError as error:
        print(f"autodiff: {error}", file=sys.stderr)
        return FAILED
    except AutodiffError as error:
        print(f"autodiff: {error}", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        return _told(error, given)


if __name__ == "__main__":
    sys.exit(main())
