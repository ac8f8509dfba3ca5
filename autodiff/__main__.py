"""The command line: ``python -m autodiff``. Reads it, calls :mod:`autodiff.cli`, and says what happened.

Exit codes: 0 done, 1 a check failed, 2 usage or bad input. A mistake on the command line or in how a function is
written is told in one paragraph; an exception that the user's own file raises keeps its traceback.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from pathlib import Path
from types import TracebackType

from . import __version__
from .cli import check, doctor, draw, explore, operations
from .demo import EPOCHS, QUICK_EPOCHS
from .demo import run as run_demo
from .errors import AutodiffError, CheckError

DONE, FAILED, REFUSED, INTERRUPTED = 0, 1, 2, 130


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="python -m autodiff",
        description="Gradients of NumPy code, with a graph that you can see.",
        epilog="`python -m autodiff COMMAND --help` shows the examples of a command.",
    )
    top.add_argument("--version", action="version", version=f"autodiff {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    _demo(commands)
    _draw(commands)
    _explore(commands)
    _check(commands)
    _ops(commands)
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


def _target(p: argparse.ArgumentParser) -> None:
    p.add_argument("target", metavar="FILE.py:FUNCTION", help="a function in a file; the file is run to find it")
    p.add_argument(
        "--args", nargs="+", metavar="ARG",
        help="what to call it with: Python literals (2.0, '[1.0, 2.0]', \"{'w': 'f8[3]'}\") or a dtype with a shape "
        "(f8[3,4]), drawn at random; without --args the file's own example_args() is called",
    )  # fmt: skip
    p.add_argument("--random-seed", type=_natural, default=0, metavar="N", help="of the random arguments [%(default)s]")


def _draw(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    p = _command(
        commands, "draw", "draw the graph of a function with its δ on every node and every edge",
        "draw model.py:loss --args 2.0 3.0 -o loss.svg", "draw model.py:loss --args 'f8[3,4]' 'f8[4]' -o loss.png",
        "draw model.py:loss                    # arguments from model.example_args()",
    )  # fmt: skip
    _target(p)
    draw.options(p)
    p.set_defaults(run=draw.run)


def _explore(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    p = _command(
        commands, "explore", "write a page on which the graph and its δ can be explored in a browser",
        "explore model.py:loss --args 2.0 3.0", "explore model.py:loss --args 'f8[3,4]' 'f8[4]' -o page.html",
    )  # fmt: skip
    _target(p)
    explore.options(p)
    p.set_defaults(run=explore.run)


def _check(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    p = _command(
        commands, "check", "check the derivatives of a function against finite differences and against each other",
        "check model.py:loss --args 2.0 3.0", "check model.py:loss --order 1 --args 'f8[3,4]'",
    )  # fmt: skip
    _target(p)
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


def _from_file(error: BaseException, file: str) -> TracebackType | None:
    """The part of a traceback that begins in the user's own file; None where it never gets there."""
    frame = error.__traceback__
    while frame is not None and not _same(frame.tb_frame.f_code.co_filename, file):
        frame = frame.tb_next
    return frame


def _same(file: str, other: str) -> bool:
    return os.path.abspath(file) == os.path.abspath(other)


def main(argv: list[str] | None = None) -> int:
    """Run one command; the result is the exit code."""
    top = parser()
    given = top.parse_args(argv)
    if given.command is None:
        top.print_help()
        return DONE
    try:
        given.run(given)
        sys.stdout.flush()
    except CheckError as error:
        print(f"autodiff: {error}", file=sys.stderr)
        return FAILED
    except AutodiffError as error:
        print(f"autodiff: {error}", file=sys.stderr)
        return REFUSED
    except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        file = getattr(given, "target", "").rpartition(":")[0]
        own = _from_file(error, file)
        if own is None and not (isinstance(error, SyntaxError) and _same(error.filename or "", file)):
            raise
        traceback.print_exception(error.with_traceback(own))
        return REFUSED
    return DONE


if __name__ == "__main__":
    sys.exit(main())
