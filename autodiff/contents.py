"""Whether arrays still hold the numbers that they held: a few bytes stand for all of theirs."""

from __future__ import annotations

import math
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


WHOLE = 1 << 15
"""Up to so many bytes in all, arrays are compared byte by byte; of the others a sample is taken."""

_SAMPLE = 64
"""How many numbers are looked at in an array of which a sample is taken."""


class Held(NamedTuple):
    """An array with what it held: all of its bytes, or those of a sample of its numbers."""

    array: np.ndarray[Any, Any]
    part: tuple[slice, ...] | None
    held: bytes


def held_by(arrays: Sequence[np.ndarray[Any, Any]], taken: int = 0) -> list[Held]:
    """What arrays hold now, to be compared by :func:`written` later.

    Parameters
    ----------
    arrays : list of arrays
        The first of them are kept byte by byte, up to 32 kB in all.
    taken : int
        Bytes that are kept already.

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
    found, left = [], WHOLE - taken
    for x in arrays:
        if x.nbytes <= left:
            left -= x.nbytes
            found.append(Held(x, None, x.tobytes()))
        else:
            part = _sample(x.shape)
            found.append(Held(x, part, x[part].tobytes()))
    return found


def _sample(shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Places all over an array of this shape, its first number among them."""
    left, part = _SAMPLE, list[slice]()
    for n in shape:
        taken = min(n, max(1, round(left ** (1 / (len(shape) - len(part))))))
        left = max(1, left // max(1, taken))
        part.append(slice(None, None, max(1, math.ceil(n / max(1, taken)))))
    return tuple(part)


def written(noted: list[Held]) -> bool:
    """Whether one of the arrays holds something else now, as far as it is looked at.

    Parameters
    ----------
    noted : list of Held
        What :func:`held_by` returned.

    Returns
    -------
    bool
    """
    for x, part, held in noted:  # noqa: SIM110 at every call of a program: a generator takes as long as two arrays
        if (x.tobytes() if part is None else x[part].tobytes()) != held:
            return True
    return False
