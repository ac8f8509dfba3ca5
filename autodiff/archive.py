"""Plain data on disk: JSON for the structure, npz beside it for the arrays, never a pickle.

What a graph holds besides numbers of nodes (settings, literals, shapes) is written in a small tagged form, so that
tuples, slices, dtypes and arrays come back as what they were, and nothing else can come back at all.

What is read may be anybody's. Sizes are held against the bytes that are there before anything is allocated, so that a
small file stays small in memory.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import stat
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .errors import GraphError, LoadError, message

UNREADABLE = (
    ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RuntimeError, EOFError, zlib.error,
    zipfile.BadZipFile,
)  # fmt: skip
"""What a file raises that holds something else than it should."""

NESTED = 32
"""So deep settings and literals may be nested in a file; those of operations are two or three deep."""

NUMBER = re.compile(r"[<>|=]?[biufc]\d{1,2}")
"""How a dtype of numbers is written."""
_SHAPE = r"\(((?:\d{1,19}, ?)*(?:\d{1,19})?)\)"
HEAD = re.compile(rf"\{{'descr': '({NUMBER.pattern})', 'fortran_order': (True|False), 'shape': {_SHAPE}, \}} *\n")
"""How the head of an array of numbers is written."""


def encode(value: Any, arrays: dict[str, np.ndarray[Any, Any]]) -> Any:
    """A value as JSON; arrays and NumPy scalars go into `arrays` and leave their key behind.

    Raises
    ------
    GraphError
        Where the value is none of the kinds that a graph file holds.
    """
    if value is None or isinstance(value, (bool, str)) or type(value) is int:
        return value
    if isinstance(value, (np.ndarray, np.generic)):
        key = f"a{len(arrays)}"
        arrays[key] = np.asarray(value)
        return {"array" if isinstance(value, np.ndarray) else "scalar": key}
    if type(value) is float:
        return value if math.isfinite(value) else {"float": repr(value)}
    if type(value) is complex:
        return {"complex": [encode(value.real, arrays), encode(value.imag, arrays)]}
    if isinstance(value, tuple):
        return {"tuple": [encode(part, arrays) for part in value]}
    if isinstance(value, list):
        return [encode(part, arrays) for part in value]
    if isinstance(value, dict):
        return {"dict": [[encode(key, arrays), encode(part, arrays)] for key, part in value.items()]}
    if isinstance(value, slice):
        return {"slice": [encode(part, arrays) for part in (value.start, value.stop, value.step)]}
    if value is Ellipsis:
        return {"ellipsis": True}
    if isinstance(value, np.dtype):
        return {"dtype": value.str}
    if isinstance(value, type) and issubclass(value, (np.generic, float, complex)):
        return {"dtype": np.dtype(value).str}
    raise GraphError(
        message(
            f"a {type(value).__name__} cannot be written into a graph file",
            "graph files hold numbers, strings, tuples, slices, dtypes and arrays, so that reading one can do no harm",
            "save the graph of a function whose settings are of those kinds",
        )
    )


def decode(value: Any, arrays: Any, depth: int = 0) -> Any:
    """The inverse of :func:`encode`; anything unexpected raises."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if depth > NESTED:
        raise ValueError(f"something is nested more than {NESTED} deep")
    if isinstance(value, list):
        return [decode(part, arrays, depth + 1) for part in value]
    if not isinstance(value, dict) or len(value) != 1:
        raise ValueError(f"an unknown form: {str(value)[:60]}")
    ((tag, part),) = value.items()
    if tag == "array":
        return arrays[part]
    if tag == "scalar":
        if arrays[part].ndim:
            raise ValueError(f"the scalar {part!r} has axes")
        return arrays[part][()]
    if tag == "float":
        return float(part)
    if tag == "ellipsis":
        return Ellipsis
    if tag == "dtype":
        if not NUMBER.fullmatch(part):
            raise ValueError(f"dtype {part!r} is not one of numbers")
        return np.dtype(part)
    if not isinstance(part, list):
        raise ValueError(f"a {tag!r} of no list")
    if tag == "dict":
        return {decode(key, arrays, depth + 1): decode(x, arrays, depth + 1) for key, x in part}
    parts = [decode(x, arrays, depth + 1) for x in part]
    if tag == "tuple":
        return tuple(parts)
    if tag == "complex":
        real, imaginary = parts
        return complex(real, imaginary)
    if tag == "slice":
        start, stop, step = parts
        if not all(x is None or hasattr(x, "__index__") for x in parts):
            raise ValueError("a slice of what is no whole number")
        return slice(start, stop, step)
    raise ValueError(f"an unknown tag: {tag!r}")


def beside(path: str | os.PathLike[str]) -> Path:
    """Where the arrays of a JSON file are kept."""
    return Path(path).with_suffix(".npz")


def write(path: str | os.PathLike[str], document: dict[str, Any], arrays: dict[str, np.ndarray[Any, Any]]) -> None:
    """Write a document and its arrays; a failure or a key that is pressed leaves both files as they were before.

    Where the process itself ends between the two, the document does not say the mark of the arrays, and :func:`read`
    refuses the pair.
    """
    if beside(path) == Path(path):
        raise GraphError(
            message(
                f"{os.fspath(path)!r} is where the arrays go",
                "what is saved is two files, a document and its arrays beside it",
                "graph.save('graph.json')",
            )
        )
    target, document = Path(path), {**document, "arrays": mark(arrays)}
    before = target.with_name(target.name + ".before")
    staged = target.with_name(target.name + ".part")
    staged_arrays = beside(path).with_name(beside(path).name + ".part")
    leftovers = [os.fspath(name) for name in (staged, staged_arrays, before)]
    try:
        with open(staged_arrays, "wb") as stream:
            try:
                np.savez(stream, allow_pickle=False, **arrays)
            except ValueError as error:  # of the archive, which cannot be closed in the midst of a member
                if error.__context__ is None or isinstance(error.__context__, ValueError):
                    raise
                raise error.__context__ from None  # what went wrong there, such as a key that was pressed
        text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        staged.write_bytes(text.encode("utf-8", "backslashreplace"))  # an unpaired surrogate as JSON writes it
        if beside(path).exists():
            _double(beside(path), before)
        os.replace(staged_arrays, beside(path))
        os.replace(staged, target)
    except BaseException:
        if staged.exists() and not staged_arrays.exists():  # between the two: the old pair is put together again
            _undo(before, beside(path))
        raise
    finally:  # one by one, and by calls that do it at once: a key may be pressed here as well
        try:
            os.unlink(leftovers[0])
        except FileNotFoundError:
            pass
        finally:
            try:
                os.unlink(leftovers[1])
            except FileNotFoundError:
                pass
            finally:
                try:  # noqa: SIM105 - suppress() would give a key the time
                    os.unlink(leftovers[2])
                except FileNotFoundError:
                    pass


def _double(path: Path, other: Path) -> None:
    """Let a file be found under a second name as well; a copy, where the disk knows no links."""
    other.unlink(missing_ok=True)
    try:
        os.link(path, other)
    except OSError:
        shutil.copyfile(path, other)


def _undo(before: Path, path: Path) -> None:
    """Put a file back as it was before; that is, take it away where there was none."""
    if before.exists():
        os.replace(before, path)
    else:
        path.unlink(missing_ok=True)


def mark(arrays: dict[str, np.ndarray[Any, Any]]) -> str:
    """A few letters that tell the arrays of one file from those of another."""
    found = 0
    for key in sorted(arrays):
        found = zlib.crc32(f"{key} {arrays[key].dtype.str} {arrays[key].shape}".encode(), found)
        found = zlib.crc32(np.ascontiguousarray(arrays[key]).reshape(-1).view(np.uint8).data, found)
    return f"{found:08x}"


def read(path: str | os.PathLike[str], form: str, version: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read a document of a known form, with its arrays.

    Raises
    ------
    LoadError
        Where either file is not what :func:`write` makes.
    FileNotFoundError
        Where either is not there.
    """
    try:
        document = json.loads(text_of(path))
        arrays = _arrays(beside(path))
    except FileNotFoundError:
        raise
    except (*UNREADABLE, OSError, MemoryError) as error:
        raise unreadable(path, str(error)[:200] or type(error).__name__) from None
    if not isinstance(document, dict) or document.get("format") != form:
        raise unreadable(path, f"it does not say that it is of the format {form!r}")
    if document.get("version") != version:
        raise unreadable(path, f"it is of version {document.get('version')!r}; this package reads version {version}")
    if document.get("arrays", mark(arrays)) != mark(arrays):  # older files do not say
        raise unreadable(path, f"the arrays in {beside(path).name} are of another file: the writing of one was cut off")
    return document, arrays


def text_of(path: str | os.PathLike[str]) -> str:
    """The text of a file; a pipe or a device, whose end may never come, is a ValueError."""
    return bytes_of(path).decode("utf-8")


def bytes_of(path: str | os.PathLike[str]) -> bytes:
    """What stands in an ordinary file."""
    with _ordinary(path) as stream:
        return stream.read()


def _ordinary(path: str | os.PathLike[str]) -> BinaryIO:
    """An ordinary file, opened to be read."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ValueError(f"{os.fspath(path)!r} is no ordinary file")
    return open(path, "rb")


def _arrays(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """The arrays of an npz file as :func:`write` makes it: numbers, neither packed nor encrypted.

    All members together claim no more bytes than the file has, and each array what its member has.
    """
    arrays = {}
    with _ordinary(path) as stream, zipfile.ZipFile(stream) as archive:
        left = os.fstat(stream.fileno()).st_size
        for member in archive.infolist():
            left -= member.file_size
            if left < 0:
                raise ValueError("its arrays claim more bytes than the file has")
            if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
                raise ValueError(f"{member.filename!r} is packed or encrypted")
            with archive.open(member) as data:
                arrays[member.filename.removesuffix(".npy")] = _array(data, member.file_size)
    return arrays


def _array(data: Any, size: int) -> np.ndarray[Any, Any]:
    """One array in NumPy's own form, of a member of so many bytes.

    NumPy reads the head of an array as Python's literals, which for a damaged one ends in any of several errors.
    """
    if data.read(8) != b"\x93NUMPY\x01\x00":
        raise ValueError("an array in a form that numbers do not need")
    head = data.read(int.from_bytes(data.read(2), "little")).decode("latin-1")
    found = HEAD.fullmatch(head)
    if found is None:
        raise ValueError(f"an array of {head[:60]!r}, which are no numbers")
    dtype, shape = np.dtype(found[1]), tuple(int(n) for n in found[3].split(",") if n.strip())
    if math.prod(shape) * dtype.itemsize != size - data.tell():
        raise ValueError(f"an array of shape {str(shape)[:60]} in {size} bytes")
    flat = np.frombuffer(data.read(), dtype)
    return flat.reshape(shape, order="F" if found[2] == "True" else "C").copy("K")  # that can be written into


def unreadable(path: str | os.PathLike[str], why: str) -> LoadError:
    """The error for a file that is not what it should be."""
    instead = "write it with graph.save(path) or flow.save(path)"
    return LoadError(message(f"{os.fspath(path)} cannot be read as a graph", why, instead))
