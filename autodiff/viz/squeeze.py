"""Scripts and style sheets without what only their readers need: comments, indentation, spaces round signs.

The ends of lines in a script stay where they may end a statement, and texts, templates and regular expressions are
copied as they are. A name of the script's own becomes a letter or two, the same everywhere, unless something has a
property of that name. In a script that is to be squeezed no pattern in braces gives a default, as ``{ a = 1 }`` would.
"""

from __future__ import annotations

import itertools
import re
import string
from collections import Counter
from collections.abc import Iterator

PIECE = re.compile(
    r"(?P<comment>//[^\n]*|/\*.*?\*/)"
    r"|(?P<text>\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*')"
    r"|(?P<regex>(?<=[(,=:;!&|?])\s*/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n\[])+/[a-z]*)"
    r"|(?P<word>[\w$]+)"
    r"|(?P<space>\s+)"
    r"|(?P<sign>\.\.\.|\?\.|.)",
    re.DOTALL,
)
"""One piece of a script outside templates. A regular expression can only follow these signs in our scripts."""
GIVEN = """
    async await break case catch const continue default delete do else false finally for function if in instanceof let
    new null of return switch throw true try typeof undefined void while
    Array Boolean DOMParser Infinity JSON Map Math NaN Number Object Promise Set String TypeError addEventListener
    clearInterval document getComputedStyle matchMedia parseInt requestAnimationFrame setInterval
"""
WORDS = frozenset(GIVEN.split())
"""What JavaScript and a browser give their names."""
OWN = """
    active arrows band block box boxes complex cosine curves cut dashed delta dtype edges element exact fork frame
    group head heavy ink inputs layer look looks many members near norm output owner part path paths projection
    residual residualShare rest rounded rows said shape shapes skip skipShare spots step tag tail timer uses whole
"""
PROPERTIES = frozenset(OWN.split())
"""Properties of the script's objects; nothing of a browser's is called so. Data is asked by text, ``a["delta"]``."""
TEMPLATE = re.compile(r"(?:\\.|\$(?!\{)|[^`\\$])*(?:`|\$\{)", re.DOTALL)


def squeeze_script(script: str) -> str:
    """A script in fewer bytes that does the same."""
    pieces = list(_bare([(kind, "let" if piece == "const" else piece) for kind, piece in _pieces(script)]))
    short = _names([piece for kind, piece in pieces if kind != "space"])
    found: list[str] = []
    space = ""
    for kind, text in _joined(pieces):
        if kind == "space":
            space = "\n" if "\n" in text or space == "\n" else " "
            continue
        piece = short.get(text, text)
        before = found[-1][-1] if found else "\n"
        if space == "\n":
            if before not in "{([,;\n" and (piece[0] not in ")].?:&|" or piece == "..."):
                found.append("\n")
        elif space and ((_wordlike(before) and _wordlike(piece[0])) or before + piece[0] in ("++", "--")):
            found.append(" ")
        found.append(piece)
        space = ""
    return "".join(found).replace(";}", "}") + "\n"


def _pieces(script: str) -> Iterator[tuple[str, str]]:
    """A script in pieces: words, spaces and comments, and the rest."""
    depths: list[int] = []  # of the braces that stand open in each template that stands open
    at = 0
    while at < len(script):
        match = PIECE.match(script, at)
        assert match is not None
        kind, piece, at = match.lastgroup, match.group(), match.end()
        if depths and piece in "{}":
            depths[-1] += 1 if piece == "{" else -1
        if piece == "`" or (depths and depths[-1] < 0):
            if piece == "}":
                depths.pop()
            rest = TEMPLATE.match(script, at)
            assert rest is not None, "a template that does not end"
            kind, piece, at = "template", piece + rest.group(), rest.end()
            if piece.endswith("${"):
                depths.append(0)
        yield ("space" if kind == "comment" else kind or "", piece.strip() if kind == "regex" else piece)


def _bare(pieces: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The same with ``x => …`` for ``(x) => …``."""
    solid = [n for n, (kind, _) in enumerate(pieces) if kind != "space"]
    bare = set()
    for a, b, c, d, e in zip(solid, solid[1:], solid[2:], solid[3:], solid[4:], strict=False):
        if pieces[b][0] == "word" and [pieces[n][1] for n in (a, c, d, e)] == ["(", ")", "=", ">"]:
            bare |= {a, c}
    for n, (kind, piece) in enumerate(pieces):
        yield ("space", " ") if n in bare else (kind, piece)


def _joined(pieces: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The same with declarations that follow one another as one: in ``const a = 1; const b = 2;`` is one too many."""
    starts = [""]  # the first word of the statement that stands open at each depth
    ended = ""  # the first word of the statement that the last piece ended
    body = False  # whether that piece ended the body of a function: no end of line is needed behind it
    for kind, piece in pieces:
        if kind == "space":
            if not ended and not body:
                yield kind, piece
            continue
        body = piece == "}" and starts[-2:-1] == ["function"]
        if ended and piece == ended:
            yield "sign", ","
            starts[-1], ended = piece, ""
            continue
        if ended:
            yield "sign", ";"
            yield "space", "\n"
        ended = ""
        opens, closes = piece in ("(", "[", "{") or piece.endswith("${"), piece[0] in ")]}"
        if closes:
            starts.pop()
        elif not starts[-1]:
            starts[-1] = piece
        if opens:
            starts.append("")
        if piece == ";" and starts[-1] in ("const", "let"):
            ended, starts[-1] = starts[-1], ""
            continue
        if piece == ";" or (piece == "}" and starts[-1] not in ("const", "let", "return")):
            starts[-1] = ""
        yield kind, piece


def _names(pieces: list[str]) -> dict[str, str]:
    """Short names for the script's own: for every word that is neither given nor a property of something else."""
    own: Counter[str] = Counter()
    kept = set(WORDS)
    open_: list[str] = []
    for before, piece, after in zip(["", *pieces], pieces, [*pieces[1:], ""], strict=False):
        if piece in ("(", "[", "{") or piece.endswith("${"):
            open_.append(piece)
        if open_ and (piece in (")", "]", "}") or (piece[0] == "}" and len(piece) > 1)):
            open_.pop()
            if piece.endswith("${"):
                open_.append(piece)
        if not (_wordlike(piece[0]) and not piece[0].isdigit()):
            continue
        own[piece] += 1
        shorthand = bool(open_) and open_[-1] == "{" and before in ("{", ",") and after in (",", "}")
        if before in (".", "?.") or (before in ("{", ",") and after == ":") or shorthand:
            kept.add(piece)
    kept -= PROPERTIES
    letters = string.ascii_letters
    every = (*letters, *map("".join, itertools.product(letters, letters)))
    free = (name for name in every if name not in own and name not in WORDS)
    wanted = sorted((word for word in own if word not in kept and len(word) > 1), key=lambda word: (-own[word], word))
    return {word: name for word, name in zip(wanted, free, strict=False) if len(name) < len(word)}


def _wordlike(sign: str) -> bool:
    return sign.isalnum() or sign in "_$"


def squeeze_style(style: str) -> str:
    """A style sheet in fewer bytes; no text in it may hold braces or semicolons."""
    style = re.sub(r"/\*.*?\*/", "", style, flags=re.DOTALL)
    style = re.sub(r"\s+", " ", style)
    style = re.sub(r" ?([{};,]) ?", r"\1", style)
    return re.sub(r"([:;{]\S*?): ", r"\1:", style).replace(";}", "}").strip() + "\n"
