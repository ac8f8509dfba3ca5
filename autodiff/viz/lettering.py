"""Text in pictures: what untrusted names become, how wide a text is, how numbers are written."""

from __future__ import annotations

import unicodedata
from pathlib import PurePath

# Advance widths of a wide sans serif face, in hundredths of the font size, from " " to "~". Narrower faces fit as well.
_ASCII = (
    32, 40, 46, 84, 64, 95, 78, 27, 39, 39, 50, 84, 32, 36, 32, 34, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 34, 34,
    84, 84, 84, 53, 100, 68, 69, 70, 77, 63, 58, 77, 75, 29, 29, 66, 56, 86, 75, 79, 60, 79, 69, 63, 61, 73, 68, 99,
    69, 61, 69, 39, 34, 39, 84, 50, 50, 61, 63, 55, 63, 62, 35, 63, 63, 28, 28, 58, 28, 97, 63, 61, 63, 63, 41, 52,
    39, 63, 59, 82, 59, 59, 52, 64, 34, 64, 84,
)  # fmt: skip
BOLD = 1.12
"""How much wider the bold face is."""
HINTED = 1.05
"""How much wider small text is where the advance of each sign is rounded to whole dots."""


def width(text: str, size: float, bold: bool = False) -> float:
    """How wide a text is at most, in points."""
    total = 0
    for sign in text:
        code = ord(sign)
        if 32 <= code < 127:
            total += _ASCII[code - 32]
        elif unicodedata.combining(sign):
            continue
        elif unicodedata.east_asian_width(sign) in "WF":
            total += 125 if code > 0xFFFF else 100  # emoji are wider still
        else:
            total += 40 if sign in "·⟨⟩ı‖" else 84
    return total / 100 * size * (BOLD if bold else 1.0) * HINTED


def file_name(path: str) -> str:
    """The name of a source file without its folder; "cell" for a notebook's, whose own name is a number."""
    file = PurePath(path)
    return "cell" if file.parent.name.startswith("ipykernel_") else file.name


def clean(text: object, limit: int = 48) -> str:
    """A name as it may stand in a picture: on one line, what cannot be seen made visible, at most `limit` signs.

    Control characters, line breaks, unpaired surrogates and the marks that reverse the direction of writing are shown
    as their code; they could otherwise break a file or rearrange the text around them.
    """
    raw = str(text)
    if len(raw) <= limit and raw.isascii() and raw.isprintable():
        return raw
    signs = []
    for sign in raw[: limit + 1]:
        if unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
            signs.append(f"‹{ord(sign):x}›")
        else:
            signs.append(sign)
    shown = "".join(signs)
    if len(raw) > limit or len(shown) > 2 * limit:
        shown = shown[: limit - 1] + "…"
    if any(unicodedata.bidirectional(sign) in ("R", "AL") for sign in shown):
        shown = f"\u2068{shown}\u2069"  # isolated: it is written right to left, what stands beside it is not
    return shown


def number(x: float, digits: int = 3) -> str:
    """A number in few digits, with a true minus: 10.5, −1.2e−5, NaN, ∞."""
    if x != x:
        return "NaN"
    if x in (float("inf"), float("-inf")):
        return "∞" if x > 0 else "−∞"
    text = f"{x:.{digits}g}"
    if "e" in text:
        mantissa, exponent = text.split("e")
        text = f"{mantissa}e{int(exponent)}"
    return ("0" if float(text) == 0 else text).replace("-", "−")


def power(exponent: int) -> str:
    """10 to a whole power, with a raised exponent."""
    return "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
