"""Small programs that get a wrong number out of an engine without a word, tried on ours and on its peers.

`python -m tests.trust.adversary` prints the table, `--write` puts it into docs/reliability.md. An outcome is *right*,
*refused* (an exception of any kind) or *wrong*: a number came back and it is not the derivative. The peers are run
where they are installed.
"""

import argparse
import contextlib
import copy
import importlib.metadata
import math
import pickle
import re
import statistics
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import autodiff as ad
from tests.peers.engines import OURS, installed

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
MARKS = re.compile(r"(<!-- adversary -->\n).*?(<!-- end -->)", re.DOTALL)


class Case(NamedTuple):
    """One program. `run(E)` returns what the engine E gives, `right` is what calculus gives."""

    group: str
    text: str
    right: Any
    run: Callable[[Any], Any]


CASES: list[Case] = []


def case(group, text, right):
    """Declare one program by a function of the engine."""

    def declare(run):
        CASES.append(Case(group, text, right, run))
        return run

    return declare


def slope(E, f, *xs):
    """The gradient of f for its first argument, as a plain array."""
    return E.plain(E.pull(f, tuple(E.array(x) for x in xs))[0])


# -- two doors that the table of functions does not need ---------------------------------------------------------------


def vjp(E, f, x):
    """What f returns and its pullback, in the engine's own way; the engine may keep the array x itself."""
    if E.name == "autodiff":
        return ad.vjp(f, x)
    if E.name == "JAX":
        import jax

        return jax.vjp(f, jax.numpy.asarray(x))
    if E.name == "autograd":
        import autograd

        pullback, y = autograd.make_vjp(f)(x)
        return y, lambda seed: (pullback(seed),)
    if E.name == "PyTorch":
        import torch

        given = torch.from_numpy(x).requires_grad_() if isinstance(x, np.ndarray) else torch.tensor(x).requires_grad_()
        y = f(given)
        return y, lambda seed: torch.autograd.grad(y, given, torch.as_tensor(seed), retain_graph=True)
    given = E.space.tensor(x, copy=False)
    y = f(given)

    def pull(seed):
        given.null_grad()
        y.backward(seed)
        return (given.grad,)

    return y, pull


def constant(E, a):
    """A plain array as the engine takes it beside its tensors; no copy where the engine asks for none."""
    return E.space.from_numpy(a) if E.name == "PyTorch" else a


X3 = np.array([1.0, 2.0, 3.0])

# -- lost history ------------------------------------------------------------------------------------------------------

LOST = "lost history"


@case(LOST, "`x * float(x)` at 3", 6.0)
def _(E):
    return slope(E, lambda x: x * float(x), 3.0)


@case(LOST, "`math.sin(x)` at 1", math.cos(1.0))
def _(E):
    return slope(E, lambda x: x * 0.0 + math.sin(x), 1.0)


@case(LOST, "`x * complex(x).real` at 3", 6.0)
def _(E):
    return slope(E, lambda x: x * complex(x).real, 3.0)


@case(LOST, "`x * x.item()` at 3", 6.0)
def _(E):
    return slope(E, lambda x: x * x.item(), 3.0)


@case(LOST, "`sum(x * x.tolist())`", 2 * X3)
def _(E):
    return slope(E, lambda x: (x * E.array(x.tolist())).sum(), X3)


@case(LOST, "`sum(x * np.asarray(x))`", 2 * X3)
def _(E):
    return slope(E, lambda x: (x * constant(E, np.asarray(x))).sum(), X3)


@case(LOST, "`sum(x * np.array(x))`", 2 * X3)
def _(E):
    return slope(E, lambda x: (x * constant(E, np.array(x))).sum(), X3)


@case(LOST, "`x * np.array([x, 2 * x]).sum()` at 3", 18.0)
def _(E):
    return slope(E, lambda x: x * np.array([x, 2 * x]).sum(), 3.0)


@case(LOST, "`x * np.float64(x)` at 3", 6.0)
def _(E):
    return slope(E, lambda x: x * np.float64(x), 3.0)


@case(LOST, "`a[0] = x[0]` into a plain array", np.array([3.0, 1.0, 1.0]))
def _(E):
    def f(x):
        a = np.zeros(3)
        a[0] = x[0]
        return (x * constant(E, a + 1.0)).sum()

    return slope(E, f, X3)


@case(LOST, "`np.copyto(a, x)`", 2 * X3)
def _(E):
    def f(x):
        a = np.zeros(3)
        np.copyto(a, x)
        return (x * constant(E, a)).sum()

    return slope(E, f, X3)


@case(LOST, "`np.multiply(x, 1.0, out=a)`", 2 * X3)
def _(E):
    def f(x):
        a = np.zeros(3)
        np.multiply(x, 1.0, out=a)
        return (x * constant(E, a)).sum()

    return slope(E, f, X3)


@case(LOST, "`sum(x.astype(x.dtype) * x)`", 2 * X3)
def _(E):
    return slope(E, lambda x: ((x.astype(float) if hasattr(x, "astype") else x.type(x.dtype)) * x).sum(), X3)


@case(LOST, "`statistics.mean([x, x * x])` at 3", 3.5)
def _(E):
    return slope(E, lambda x: x * 0.0 + statistics.mean([x, x * x]), 3.0)


@case(LOST, "`np.vectorize(lambda t: t * t)(x)`", 2 * X3)
def _(E):
    def f(x):
        y = np.vectorize(lambda t: t * t)(x)
        return (x * 0.0).sum() + y.sum()

    return slope(E, f, X3)


@case(LOST, "`rng.normal(loc=x)`", 1.0)
def _(E):
    return slope(E, lambda x: x * 0.0 + np.random.default_rng(0).normal(loc=x), 0.5)


@case(LOST, "`x * pickle.loads(pickle.dumps(x))` at 3", 6.0)
def _(E):
    return slope(E, lambda x: x * pickle.loads(pickle.dumps(x)), 3.0)


@case(LOST, "`x * copy.copy(x)` at 3", 6.0)
def _(E):
    return slope(E, lambda x: x * copy.copy(x), 3.0)


@case(LOST, "`y * copy.deepcopy(y)`, y = 2x, at 3", 24.0)
def _(E):
    def f(x):
        y = 2.0 * x
        return y * copy.deepcopy(y)

    return slope(E, f, 3.0)


@case(LOST, "`sum(x * np.frombuffer(x))`", 2 * X3)
def _(E):
    return slope(E, lambda x: (x * constant(E, np.frombuffer(memoryview(x)).copy())).sum(), X3)


# -- stale values ------------------------------------------------------------------------------------------------------

STALE = "stale values"


@case(STALE, "a plain operand, overwritten after its use", X3)
def _(E):
    w = X3.copy()
    y, pullback = vjp(E, lambda x: (x * constant(E, w)).sum(), np.ones(3))
    w[:] = 100.0
    return E.plain(pullback(np.ones_like(E.plain(y)))[0])


@case(STALE, "the same through a view taken before", X3)
def _(E):
    w = X3.copy()
    view = w[::-1]
    y, pullback = vjp(E, lambda x: (x * constant(E, w)).sum(), np.ones(3))
    view[:] = 100.0
    return E.plain(pullback(np.ones_like(E.plain(y)))[0])


@case(STALE, "the argument's array, overwritten before the sweep", 2 * X3)
def _(E):
    a = X3.copy()
    y, pullback = vjp(E, lambda x: (x * x).sum(), a)
    a[:] = 100.0
    return E.plain(pullback(np.ones_like(E.plain(y)))[0])


@case(STALE, "the same through a view taken before", 2 * X3)
def _(E):
    a = X3.copy()
    view = a[:]
    y, pullback = vjp(E, lambda x: (x * x).sum(), a)
    view[:] = 100.0
    return E.plain(pullback(np.ones_like(E.plain(y)))[0])


@case(STALE, "an index array, overwritten after its use", np.array([0.0, 0.0, 2.0]))
def _(E):
    index = np.array([2, 2])
    y, pullback = vjp(E, lambda x: x[index if E.name != "PyTorch" else E.space.from_numpy(index)].sum(), X3.copy())
    index[:] = 0
    return E.plain(pullback(np.ones_like(E.plain(y)))[0])


@case(STALE, "a result, overwritten before the sweep (`exp`)", np.exp(X3))
def _(E):
    y, pullback = vjp(E, lambda x: E.space.exp(x), X3.copy())
    out = y.detach().numpy() if E.name == "PyTorch" else (y if isinstance(y, np.ndarray) else y.__array__())
    out[:] = 100.0
    return E.plain(pullback(np.ones(3))[0])


@case(STALE, "a gradient, overwritten before the next sweep", np.array([1.0, 1.0, 1.0]))
def _(E):
    seed = np.ones(3)
    _, pullback = vjp(E, lambda x: x * 1.0 + 0.0, X3.copy())
    first = pullback(seed)[0]
    (first.detach().numpy() if E.name == "PyTorch" else first)[:] = 100.0
    return E.plain(pullback(seed)[0])


@case(STALE, "a gradient, kept while the seed is overwritten", np.array([1.0, 1.0, 1.0]))
def _(E):
    seed = np.ones(3)
    _, pullback = vjp(E, lambda x: x + 0.0, X3.copy())
    found = pullback(seed)[0]
    seed[:] = 100.0
    return E.plain(found)


@case(STALE, "`z = y * y; y += 1`, sum of z", 2 * X3)
def _(E):
    def f(x):
        y = x * 1.0
        z = y * y
        y += 1.0
        return z.sum()

    return slope(E, f, X3)


# -- aliasing ----------------------------------------------------------------------------------------------------------

ALIAS = "views and writes"


@case(ALIAS, "`z = y; y += 1`, sum of z²", 2 * (X3 + 1))
def _(E):
    def f(x):
        y = x * 1.0
        z = y
        y += 1.0
        return (z * z).sum()

    return slope(E, f, X3)


@case(ALIAS, "`v = y[1:]; y[1] = 0`, sum of v²", np.array([0.0, 0.0, 6.0]))
def _(E):
    def f(x):
        y = x * 1.0
        v = y[1:]
        y[1] = 0.0
        return (v * v).sum()

    return slope(E, f, X3)


@case(ALIAS, "`v = y[1:]; v *= 2`, sum of y²", np.array([2.0, 16.0, 24.0]))
def _(E):
    def f(x):
        y = x * 1.0
        v = y[1:]
        v *= 2.0
        return (y * y).sum()

    return slope(E, f, X3)


@case(ALIAS, "`y[1:] = y[:-1]`, Σ k·y_k", np.array([3.0, 3.0, 0.0]))
def _(E):
    def f(x):
        y = x * 1.0
        y[1:] = y[:-1]
        return (y * E.array(X3)).sum()

    return slope(E, f, X3)


@case(ALIAS, "`y[[0, 0]] += x[:2]`: the last one wins", np.array([1.0, 2.0, 1.0]))
def _(E):
    def f(x):
        y = x * 1.0
        y[[0, 0]] += x[:2]
        return (y * E.array(np.ones(3))).sum()

    return slope(E, f, X3)


@case(ALIAS, "`y[y > 1.5] = 0`, sum of y²", np.array([2.0, 0.0, 0.0]))
def _(E):
    def f(x):
        y = x * 1.0
        y[y > 1.5] = 0.0
        return (y * y).sum()

    return slope(E, f, X3)


# -- rules -------------------------------------------------------------------------------------------------------------

RULES = "rules"


@case(RULES, "`where(x > 0, sqrt(x), 0)` at 0, 4, −1", np.array([0.0, 0.25, 0.0]))
def _(E):
    return slope(E, lambda x: E.space.where(x > 0, E.space.sqrt(x), x * 0.0).sum(), np.array([0.0, 4.0, -1.0]))


@case(RULES, "`prod(x)` at 0, 2, 3", np.array([6.0, 0.0, 0.0]))
def _(E):
    return slope(E, lambda x: E.space.prod(x), np.array([0.0, 2.0, 3.0]))


@case(RULES, "`sum(cumprod(x))` at 2, 0, 3, 4", np.array([1.0, 32.0, 0.0, 0.0]))
def _(E):
    more = {"dim": 0} if E.name == "PyTorch" else {}
    return slope(E, lambda x: E.space.cumprod(x, **more).sum(), np.array([2.0, 0.0, 3.0, 4.0]))


@case(RULES, "`norm(x)` at 0", np.zeros(3))
def _(E):
    return slope(E, lambda x: E.space.linalg.norm(x), np.zeros(3))


@case(RULES, "`std(x)` of equal numbers", np.zeros(2))
def _(E):
    return slope(E, lambda x: E.space.std(x), np.ones(2))


@case(RULES, "`sum(x, where=[1, 0, 1])`", np.array([1.0, 0.0, 1.0]))
def _(E):
    return slope(E, lambda x: E.space.sum(x, where=E.array([True, False, True])), X3)


@case(RULES, "`max(x, initial=5)`", np.zeros(3))
def _(E):
    return slope(E, lambda x: E.space.max(x, initial=5.0), X3)


@case(RULES, "∂x∂y of `x**y` at (23, 0), and ∂y∂x", np.array([1 / 23, 1 / 23]))
def _(E):
    x, y = E.array(23.0), E.array(0.0)
    one = E.pull(lambda y: E.pull(lambda x, y: x**y, (x, y))[0], (y,))[0]
    other = E.pull(lambda x: E.pull(lambda x, y: x**y, (x, y))[1], (x,))[0]
    return np.array([float(E.plain(one)), float(E.plain(other))])


@case(RULES, "∂/∂y of `x**y` at (0, 2)", 0.0)
def _(E):
    return slope(E, lambda y: E.array(0.0) ** y, 2.0)


@case(RULES, "second derivative of `sinc` at 0", -(math.pi**2) / 3)
def _(E):
    return slope(E, lambda x: E.pull(E.space.sinc, (x,))[0], 0.0)


@case(RULES, "gradient of `sum(eigvalsh(a) * [1, 2])` at the identity is finite", True)
def _(E):
    return np.isfinite(slope(E, lambda a: (E.space.linalg.eigvalsh(a) * E.array([1.0, 2.0])).sum(), np.eye(2))).all()


@case(RULES, "`tanh(u)·u²`, u = −10⁸v: second derivative at 1", -2e16)
def _(E):
    def f(v):
        u = -1e8 * v
        return E.space.tanh(u) * u**2

    return slope(E, lambda x: E.pull(f, (x,))[0], 1.0)


@case(RULES, "float32 in, float32 out: `var`", True)
def _(E):
    return slope(E, E.space.var, X3.astype(np.float32)).dtype == np.float32


# -- doors and state ---------------------------------------------------------------------------------------------------

DOORS = "seeds, containers, state"


@case(DOORS, "a seed of the wrong shape is refused", "refused")
def _(E):
    _, pullback = vjp(E, lambda x: x * x, X3[:2].copy())
    return pullback(np.ones((2, 2)) if E.name != "PyTorch" else E.space.ones((2, 2), dtype=E.space.float64))


@case(DOORS, "a complex seed of a real result is refused", "refused")
def _(E):
    y, pullback = vjp(E, lambda x: x * x, X3.copy())
    return pullback(np.full(E.plain(y).shape, 1 + 1j))


@case(DOORS, "the gradient of a vector is refused", "refused")
def _(E):
    return slope(E, lambda x: x * x, X3)


@case(DOORS, "the same pullback twice", np.stack([2 * X3, 2 * X3]))
def _(E):
    y, pullback = vjp(E, lambda x: (x * x).sum(), X3.copy())
    seed = np.ones_like(E.plain(y))
    return np.stack([np.array(E.plain(pullback(seed)[0])) for _ in range(2)])


@case(DOORS, "an inner gradient after three functions that raised", 12.0)
def _(E):
    def breaks(x):
        x * x
        raise ArithmeticError

    for _ in range(3):
        with contextlib.suppress(ArithmeticError):
            slope(E, breaks, 1.0)
    return slope(E, lambda x: x * E.pull(lambda y: y * y, (x,))[0] + x * 0.0, 3.0)


@case(DOORS, "a nested gradient, while another thread's ends between its two levels", 10.0)
def _(E):
    inside, outside, gone = (threading.Event() for _ in range(3))
    found = []

    def first(x):
        inside.set()
        assert outside.wait(20)
        return x * x

    def second(x):
        outside.set()
        assert gone.wait(20)
        return E.pull(lambda y: x * y * y, (x * 1.0,))[0] * 2.5

    def work():
        try:
            found.append(slope(E, second, 1.0))
        except Exception as error:
            found.append(error)

    def starts():
        slope(E, first, 1.0)
        gone.set()

    opens, nests = threading.Thread(target=starts), threading.Thread(target=work)
    opens.start()
    assert inside.wait(20)
    nests.start()
    opens.join()
    nests.join()
    if isinstance(found[0], Exception):
        raise found[0]
    return found[0]


# -- the table ---------------------------------------------------------------------------------------------------------


def outcome(E, given):
    """(right, refused or wrong; what came back)."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            found = given.run(E)
    except Exception as error:
        return ("right" if isinstance(given.right, str) else "refused"), error
    if isinstance(given.right, str):
        return "wrong", found
    if found is None or found is NotImplemented or (isinstance(found, np.ndarray) and found.dtype == object):
        return "refused", found  # no number came back
    try:
        found = np.asarray(found)
        close = found.shape == np.shape(given.right) and np.allclose(found, given.right, rtol=1e-9, atol=1e-12)
    except Exception:
        close = False
    return ("right" if close else "wrong"), found


def versions(engines):
    """Which releases were asked."""
    package = {"JAX": "jax", "PyTorch": "torch", "MyGrad": "mygrad", "autograd": "autograd"}
    peers = [(E.name, importlib.metadata.version(package[E.name])) for E in engines if E is not OURS]
    return ", ".join(f"{name} {version.partition('+')[0]}" for name, version in peers)


def table(engines):
    """All cases and all engines in Markdown."""
    names = [E.name for E in engines]
    lines = [f"| program | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    wrong, right = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    group = None
    for given in CASES:
        if given.group != group:
            group = given.group
            lines.append(f"| *{group}* |{' |' * len(names)}")
        cells = []
        for E in engines:
            said, _ = outcome(E, given)
            wrong[E.name] += said == "wrong"
            right[E.name] += said == "right"
            cells.append("**wrong**" if said == "wrong" else said)
        lines.append(f"| {given.text.replace('|', chr(92) + '|')} | {' | '.join(cells)} |")
    lines.append(f"| right, of {len(CASES)} | {' | '.join(str(right[name]) for name in names)} |")
    lines.append(f"| **wrong without a word** | {' | '.join(str(wrong[name]) for name in names)} |")
    return "\n".join(lines) + f"\n\nThe peers: {versions(engines)}.\n"


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.trust.adversary", description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into docs/reliability.md")
    parser.add_argument("--show", action="store_true", help="print what came back where it is not right")
    given = parser.parse_args()
    engines = [OURS, *installed("torch", "jax", "autograd", "mygrad")]
    text = table(engines)
    print(text)
    if given.show:
        for one in CASES:
            for E in engines:
                said, found = outcome(E, one)
                if said != "right":
                    told = f"{type(found).__name__}: {found}" if isinstance(found, BaseException) else repr(found)
                    print(f"{said:8} {E.name:9} {one.text}: {told.splitlines()[0][:140]}")
    if given.write:
        page = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(MARKS.sub(lambda m: m[1] + "\n" + text + "\n" + m[2], page), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    sys.exit(main())
