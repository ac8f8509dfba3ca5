"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from .options import refuse


def write_whole(target: Path, data: bytes) -> None:
    """Write a picture as :func:`replaced` does.

    Raises
    ------
    PictureError
        Where it cannot be written; nothing is left of it.
    """
    try:
        replaced(target, data)
    except (OSError, ValueError) as error:  # a ValueError where the path is none: NUL, a surrogate
        refuse(f"draw: {str(target)!r} cannot be written", str(error), "draw into a folder that you may write to")


def replaced(target: Path, data: bytes) -> None:
    """Write a file beside its place, then into it: a failure or a key that is pressed leaves what was there before.

    A link stays, and what it leads to is written; a file that is there keeps its mode. What is no ordinary file, such
    as a pipe, is written into as it is.
    """
    beside = ""
    try:
        place = os.path.realpath(target)
        known = os.stat(place).st_mode if os.path.exists(place) else None
        if known is not None and not stat.S_ISREG(known):
            with open(place, "wb") as file:
                file.write(data)
            return
        beside = os.path.join(os.path.dirname(place), f".{secrets.token_hex(8)}{target.suffix}")
        with open(beside, "xb") as file:
            file.write(data)
        if known is not None:
            os.chmod(beside, stat.S_IMODE(known))
        os.replace(beside, place)
    finally:
        try:  # noqa: SIM105 - a key that is pressed in suppress() would leave the file
            os.unlink(beside)
        except (OSError, ValueError):  # it is not there any more where it was moved into its place
            pass
