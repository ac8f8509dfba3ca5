"""einsum: the δ of each operand is the einsum of δY with all the others, to the indices of that operand."""

from __future__ import annotations

import functools
import operator
import string
from typing import Any

import numpy as np

from ..apply import as_array
from ..errors import KeywordError, message
from ..makers import at, composite, op, refuse
from ..traced import plain


@functools.lru_cache(maxsize=1024)
def labels_of(subscripts: str, dims: tuple[int, ...]) -> tuple[tuple[str, ...], str]:
    """One letter for each axis of each operand and of the result: ellipses and an implied result written out."""
    left, arrow, result = subscripts.replace(" ", "").partition("->")
    terms = left.split(",")
    hidden = [n - len(term.replace("...", "")) for term, n in zip(terms, dims, strict=True)]
    spare = "".join(c for c in string.ascii_letters if c not in left)[: max(hidden)]
    written = tuple(t.replace("...", spare[len(spare) - n :]) for t, n in zip(terms, hidden, strict=True))
    if arrow:
        return written, result.replace("...", spare)
    named = left.replace("...", "").replace(",", "")
    return written, spare + "".join(sorted(c for c in set(named) if named.count(c) == 1))


def _spread(term: Any, target: str, own: str, shape: tuple[int, ...]) -> Any:
    """A δ with axes `target` in an operand's own shape.

    Equal along the axes that were summed in this operand alone; zero off the diagonal of an index that stands twice.
    """
    first = [c in target and own.index(c) == k for k, c in enumerate(own)]
    lengths = iter(term.shape)
    term = np.reshape(term, tuple(next(lengths) if here else 1 for here in first))
    for k, c in enumerate(own):
        if own.index(c) < k:
            places = np.arange(shape[k])
            down, across = [1] * len(own), [1] * len(own)
            down[own.index(c)] = across[k] = shape[k]
            term = np.where(np.reshape(places, down) == np.reshape(places, across), term, 0)
    return term if term.shape == shape else np.broadcast_to(term, shape)


def _einsum_terms(d: Any, y: Any, *xs: Any, subscripts: str, optimize: Any = False, wanted: tuple[bool, ...]) -> Any:
    """δX of each operand: the einsum of δY with all the others, to the indices of X."""
    labels, result = labels_of(subscripts, tuple(np.ndim(x) for x in xs))
    shapes = [np.shape(x) for x in xs]
    axes = [pair for own, shape in zip(labels, shapes, strict=True) for pair in zip(own, shape, strict=True)]
    length = {c: n for c, n in axes if n != 1}
    how = optimize if isinstance(optimize, (bool, str)) else True  # a path that was given is one of the forward product
    terms: list[Any] = []
    for k, (own, shape) in enumerate(zip(labels, shapes, strict=True)):
        if not wanted[k]:
            terms.append(None)
            continue
        others = [result, *labels[:k], *labels[k + 1 :]]
        known = set("".join(others))
        live = {c for c, n in zip(own, shape, strict=True) if n == length.get(c, 1)}  # not stretched from length one
        target = "".join(c for c in dict.fromkeys(own) if c in live and c in known)
        term = np.einsum(f"{','.join(others)}->{target}", d, *xs[:k], *xs[k + 1 :], optimize=how)
        terms.append(_spread(term, target, own, shape))
    return tuple(terms)


def _einsum_tangent(k: int) -> Any:
    """The einsum with a tangent in the place of operand k."""

    def rule(t: Any, y: Any, *xs: Any, subscripts: str, optimize: Any = False) -> Any:
        return np.einsum(subscripts, *xs[:k], t, *xs[k + 1 :], optimize=optimize)

    return rule


einsum = op(
    lambda *xs, subscripts, optimize=False: np.einsum(subscripts, *xs, optimize=optimize),
    joint=_einsum_terms,
    jvps=tuple(map(_einsum_tangent, range(64))),  # NumPy takes no more operands than that
    name="einsum",
    numpy=(np.einsum,),
    view=True,
    examples=(
        at((3, 4), (4, 2), subscripts="ij,jk->ik"), at((3, 4), (4, 2), subscripts="ij,jk"), at((3, 3), subscripts="ii"),
        at((3, 3), subscripts="ii->i"), at((2, 3, 2), (3, 4), subscripts="iji,jk->ki"), at((3, 4), subscripts="ij->i"),
        at((3, 4), (5,), subscripts="ij,k->ki"), at((1, 3, 4), (2, 4, 2), subscripts="...ij,...jk"),
        at((2, 3, 4), (4, 2), subscripts="...ij,jk->...ik"), at((2, 1, 4), (3, 4), subscripts="...i,...i->..."),
        at((1, 4), (3, 4), subscripts="ij,ij->j"), at((2, 3), (3, 4), (4, 2), (2,), subscripts="ij,jk,kl,i->l"),
        at((2, 3), (3, 4), (4, 2), subscripts="ij,jk,kl", optimize=True), at((), (3,), subscripts=",i->i"),
        at((2, 2, 2), subscripts="iii->i"), at((3, 4), subscripts="ji"),
    ),
    formulas=("δX = einsum of δY with the other operands, to the indices of X",),
)  # fmt: skip


@composite(np.einsum)
def _einsum(
    *operands: Any, out: Any = None, optimize: Any = False, dtype: Any = None, casting: Any = "safe", order: Any = "K"
) -> Any:
    """Both of NumPy's spellings: subscripts in a string, or a list of indices after each operand."""
    refuse("einsum", out=out)
    if order not in ("K", "k"):
        raise KeywordError(
            message(
                f"einsum: the keyword 'order' ({order!r}) is not understood when derivatives are recorded",
                "where the elements of a result lie in memory is no part of a graph",
                "leave order out, or copy afterwards: np.copy(y, order=…)",
            )
        )
    if isinstance(operands[0], str):
        subscripts, *xs = operands
    else:
        subscripts, xs = _from_lists(operands)
    if dtype is not None:
        dtype = np.dtype(dtype)
        for k, x in enumerate(xs):
            if not np.can_cast(plain(as_array(x)).dtype, dtype, casting):
                raise TypeError(f"operand {k} cannot be cast from {as_array(x).dtype!r} to {dtype!r} by {casting!r}")
        xs = [as_array(x).astype(dtype) for x in xs]
    return einsum(*xs, subscripts=subscripts, **({"optimize": optimize} if optimize is not False else {}))


@composite(np.einsum_path)
def _einsum_path(*operands: Any, optimize: Any = "greedy", einsum_call: Any = False) -> Any:
    """An order of the products: it depends on the shapes alone."""
    return np.einsum_path(*map(plain, operands), optimize=optimize, einsum_call=einsum_call)


def _from_lists(operands: tuple[Any, ...]) -> tuple[str, list[Any]]:
    letters = string.ascii_uppercase + string.ascii_lowercase  # in the order in which NumPy sorts an implied result

    def term(indices: Any) -> str:
        return "".join("..." if i is Ellipsis else letters[operator.index(i)] for i in indices)

    pairs = len(operands) // 2
    subscripts = ",".join(term(indices) for indices in operands[1 : 2 * pairs : 2])
    return subscripts + ("->" + term(operands[-1]) if len(operands) % 2 else ""), list(operands[0 : 2 * pairs : 2])
