"""``check``: the derivatives of a function in a user's file, held against differences and against each other."""

from __future__ import annotations

import argparse

from ..testing import check_grads
from .target import arguments, load

MODES = ("forward", "reverse")


def options(p: argparse.ArgumentParser) -> None:
    """What the command takes besides the function and its arguments."""
    p.add_argument("--order", type=int, choices=(1, 2), default=2, help="highest order of derivative [%(default)s]")
    p.add_argument("--mode", choices=MODES, action="append", help="check only this mode [both]")
    p.add_argument("--rtol", type=float, metavar="X", help="how far off, of the largest derivative [by dtype]")
    p.add_argument("--atol", type=float, metavar="X", help="how far off, absolutely [by dtype]")


def run(given: argparse.Namespace) -> None:
    """Check, and print how much was compared."""
    target = load(given.target)
    args = arguments(target, given.args, given.random_seed)
    modes = tuple(given.mode or MODES)
    count = check_grads(target.function, args, order=given.order, modes=modes, rtol=given.rtol, atol=given.atol)
    print(f"{target.name}: {count} comparisons agree (order {given.order}, {' and '.join(modes)} mode)")
