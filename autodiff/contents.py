"""Whether arrays still hold the numbers that they held: a few bytes stand for all of theirs."""

from __future__ import annotations

import operator
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

_COLUMNS, _ROWS = 251, 509
"""A large array is cut into tables of so many columns and rows of 64 bits, which stay in the cache. The sums of their
columns and rows are looked at byte by byte: several times as fast, and what only changes its place is seen as well.
Both are primes, so that the rows of an array do not fall on one another, and changes of signs do not cancel."""

_LARGE = 1 << 15
"""From so many bytes on."""


def checksum(x: np.ndarray[Any, Any], before: int = 0) -> int:
    """A number that another one takes the place of when the array is written into.

    It misses one write in four billions, and in large arrays what is made to leave many sums as they were.

    Parameters
    ----------
    x : array
        Of numbers. One that lies in another order in memory may have another checksum.
    before : int
        The checksum of what comes before it, where one is wanted of several arrays.

    Returns
    -------
    int

    Examples
    --------
    >>> import numpy as np
    >>> from autodiff.contents import checksum
    >>> x = np.arange(4.0)
    >>> before = checksum(x)
    >>> x[:] = x[::-1]
    >>> checksum(x) == before
    False
    """
    if x.dtype.char in "gG":  # of extended precision, with bytes between the numbers that hold nothing
        x = np.stack([x.astype(np.complex128), (x - x.astype(np.complex128)).astype(np.complex128)])
    x = x.T if x.flags.f_contiguous else x
    flat: Any = x if x.flags.c_contiguous else np.ascontiguousarray(x)
    if x.nbytes < _LARGE:
        return zlib.crc32(flat, before)
    flat = flat.reshape(-1).view(np.uint8)
    whole = flat.size - flat.size % (8 * _COLUMNS)
    words = flat[:whole].view(np.uint64).reshape(-1, _COLUMNS)
    for start in range(0, len(words), _ROWS):
        part: Any = words[start : start + _ROWS]
        before = zlib.crc32(np.add.reduce(part, 1), zlib.crc32(np.add.reduce(part, 0), before))
    return zlib.crc32(flat[whole:], before)


_SMALL = 1 << 12
"""Up to so many bytes an array is compared as one piece of memory, which is quicker to begin with."""


class Held(NamedTuple):
    """An array with what it held: its bytes, or a copy; None where it is read-only and says so of all its memory."""

    array: np.ndarray[Any, Any]
    held: bytes | np.ndarray[Any, Any] | None


def held_by(arrays: Sequence[np.ndarray[Any, Any]]) -> list[Held]:
    """What arrays hold now, to be compared by :func:`written` later.

    An array that is read-only down to the one that owns the memory is taken at its word, as long as it stays so.

    Parameters
    ----------
    arrays : list of arrays

    Returns
    -------
    list of Held

    Examples
    --------
    >>> import numpy as np
    >>> from autodiff.contents import held_by, written
    >>> x = np.zeros(3)
    >>> noted = held_by([x])
    >>> written(noted)
    False
    >>> x += 1.0
    >>> written(noted)
    True
    """
    return [Held(x, None if _is_sealed(x) else x.tobytes() if _is_brief(x) else x.copy("K")) for x in arrays]


def _is_brief(x: Any) -> bool:
    return x.nbytes <= _SMALL and not x.dtype.hasobject


def _is_sealed(x: Any) -> bool:
    while type(x) is np.ndarray and not x.flags.writeable:
        if x.base is None:
            return True
        x = x.base
    return False


def written(noted: list[Held]) -> bool:
    """Whether one of the arrays holds something else now: to the last bit.

    Parameters
    ----------
    noted : list of Held
        What :func:`held_by` returned.

    Returns
    -------
    bool
    """
    for x, held in noted:
        if type(held) is bytes:
            if x.tobytes() != held:
                return True
        elif held is None:
            if not _is_sealed(x):
                return True
        elif not _same_bits(x, held):
            return True
    return False


def _same_bits(x: Any, y: Any) -> bool:
    """Whether two large arrays hold the same: half of the time that one multiplication of them takes."""
    if x.shape != y.shape or x.dtype != y.dtype:  # both can be set
        return False
    kind, size = x.dtype.kind, x.dtype.itemsize
    if kind == "O":
        return all(map(operator.is_, x.flat, y.flat))
    if kind == "c":
        return _same_bits(x.real, y.real) and _same_bits(x.imag, y.imag)
    if kind == "f" and size in (2, 4, 8):
        return np.array_equal(x.view(f"u{size}"), y.view(f"u{size}"))
    same = x == y  # of extended precision some bits mean nothing
    return bool(np.all(same if kind != "f" else (same & (np.signbit(x) == np.signbit(y))) | ((x != x) & (y != y))))
