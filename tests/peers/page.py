"""The page of disagreements: every point where another engine says something else than we do, and who is right."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tests.peers.engines import OURS, derivatives, installed
from tests.peers.points import POINTS
from tests.peers.reasons import REASONS
from tests.peers.truth import measured, true_derivative

PAGE = Path(__file__).resolve().parents[2] / "docs" / "disagreements.md"
PEERS = ("jax", "torch", "autograd")


class Row(NamedTuple):
    """One disagreement: what was differentiated by what, where, and what each engine says."""

    text: str
    by: str
    at: tuple
    answers: dict[str, Any]
    truth: Any

    @property
    def right(self):
        """The engines whose answer the truth allows; None where it is not known."""
        if self.truth is None:
            return None
        return [name for name, answer in self.answers.items() if answer is not None and self._allowed(answer)]

    def _allowed(self, answer):
        truths = self.truth if isinstance(self.truth, list) else [self.truth]
        return all(truth.allows(value) for truth, value in zip(truths, np.ravel(np.real(answer)), strict=True))

    @property
    def reason(self):
        """The sentence that says why, and who is right where evaluation alone cannot tell."""
        for pattern, by, at, sentence, right in REASONS:
            where = ", ".join(number(x) for x in self.at)
            if re.fullmatch(pattern, self.text) and re.fullmatch(by, self.by) and re.fullmatch(at, where):
                return sentence, right
        return None


def number(x):
    """A number or an array of them in a few digits; −0 is told from 0 only where it stands as a point."""
    if isinstance(x, np.ndarray) and x.ndim:
        return "[" + ", ".join(number(part) for part in x) + "]"
    if isinstance(x, str):
        return x
    x = np.asarray(x)[()]
    if np.iscomplexobj(x):
        return f"{x.real:.5g}{x.imag:+.5g}i"
    return f"{x:.5g}".replace("inf", "∞").replace("-", "−")


def agree(a, b):
    """Whether two answers are one: to 1e-10 in double precision, nan and nan, the same infinity."""
    if np.shape(a) != np.shape(b) or np.asarray(a).dtype != np.asarray(b).dtype:
        return np.zeros(np.shape(a), bool)
    rtol = 1e-10 if np.asarray(a).dtype in (np.float64, np.complex128) else 1e-4
    with np.errstate(all="ignore"):
        near = np.isfinite(a - b) & (np.abs(a - b) <= rtol * np.maximum(1.0, np.abs(a)))  # ∞ and −∞ are not near
    return near | (a == b) | (np.isnan(a) & np.isnan(b))


def ask(engine, point):
    """Every derivative of one engine at one point; a text where it refuses, None where it has no such function."""
    f = point.f(engine)
    if f is None:
        return None
    try:
        return derivatives(engine, f, point.args, point.names, point.pointwise)
    except Exception as error:  # whatever another engine raises
        return type(error).__name__


def compared(peers):
    """(point, our derivatives, each peer's) for every point."""
    return [(point, ask(OURS, point), {peer.name: ask(peer, point) for peer in peers}) for point in POINTS]


def disagreements(table):
    """The rows of the page."""
    rows = []
    for point, ours, theirs in table:
        spoken = {name: answers for name, answers in theirs.items() if isinstance(answers, dict)}
        for by, mine in ours.items():
            others = {name: answers[by] for name, answers in spoken.items()}
            agreed = {name: agree(mine, other) for name, other in others.items()}
            if point.pointwise:
                rows += _pointwise(point, by, mine, others, agreed)
            elif not all(np.all(same) for same in agreed.values()):
                truth = _truths(point, by)
                rows.append(Row(point.text, by, point.args, {"autodiff": mine, **others}, truth))
    return rows


def _pointwise(point, by, mine, others, agreed):
    found = []
    for i in range(mine.size):
        if all(same.ravel()[i] for same in agreed.values()):
            continue
        at = tuple(x.ravel()[i] for x in point.args)
        order = tuple((point.names.index(name), 0) for name in by)
        truth = true_derivative(point.text, at, order)
        answers = {"autodiff": mine.ravel()[i], **{name: other.ravel()[i] for name, other in others.items()}}
        found.append(Row(point.text, by, at, answers, truth))
    return found


def _truths(point, by):
    """The truth for each element of a gradient, or of H·v where the gradient exists; None where it cannot be told."""
    x = point.args[0]
    if np.iscomplexobj(x) or not x.size or not np.isfinite(x).all() or x.dtype != np.float64:
        return None
    first = [true_derivative(point.text, point.args, ((0, i),)) for i in range(x.size)]
    f = point.f(OURS)
    if any(truth is None for truth in first):
        first = [measured(lambda x: np.sum(f(np, x)), x, i) for i in range(x.size)]
    if any(truth is None for truth in first) or len(by) == 1:
        return None if any(truth is None for truth in first) else first
    if not all(truth.exists for truth in first):
        return None
    v = 0.5 + 0.25 * np.arange(x.size).reshape(x.shape)
    second = [measured(lambda x: np.sum(f(np, x)), x, i, v) for i in range(x.size)]
    return None if any(truth is None for truth in second) else second


HEAD = """# Where engines disagree

Made by `python -m tests.peers`; do not edit. On {points} expressions at {places} points, at order 1 and 2, ours and
those of {peers} agree to 1e-10 in float64, but for what stands here.

*True* is found by evaluating the expression alone: from each side in 700 digits, or, for matrices, by differences;
where there is no derivative the one-sided ones are told, and what lies between them is a choice. `x` and `y` stand for
the first derivatives of the sum of the expression, `xx`, `xy` and `yy` for the second; for an expression of an array
`xx` is the Hessian times a fixed vector.

"""


def render(table, names):
    """The whole page as text."""
    rows = disagreements(table)
    groups = {}
    for row in rows:
        shown = tuple((name, re.sub(r"−0(?=[],]|$)", "0", number(answer))) for name, answer in row.answers.items())
        groups.setdefault((row.text, row.by, shown, truth_text(row)), []).append(row)
    columns = ["autodiff", *names]
    head = ["expression", "by", "at", "true", *columns, "right", "why"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for (text, by, shown, truth), members in groups.items():
        row, answers = members[0], dict(shown)
        points = "; ".join(dict.fromkeys(", ".join(map(number, member.at)) for member in members))
        sentence, right = verdict(row)
        cells = [f"`{text}`", by, points, truth, *(answers.get(name, "") for name in columns), right, sentence]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    places = sum(point.args[0].size if point.pointwise else 1 for point, _, _ in table)
    head = HEAD.format(points=len(table), places=places, peers=" and ".join([", ".join(names[:-1]), names[-1]]))
    refused = refusals(table)
    return head + "\n".join(lines) + "\n\n## Refused\n\nExpressions that an engine raises an error for.\n\n" + refused


def truth_text(row):
    """The truth as it is shown."""
    if row.truth is None:
        return ""
    if isinstance(row.truth, list):
        return "[" + ", ".join(str(truth) for truth in row.truth) + "]"
    return str(row.truth)


def verdict(row):
    """(why, who is right) of one row; an empty sentence where nobody has said why."""
    sentence, right = row.reason or ("", None)
    if right is None:
        told = row.right
        right = "" if told is None else "all" if len(told) == len(row.answers) else ", ".join(told) or "none"
    return sentence, right


def refusals(table):
    """A list: each expression with the engines that refuse it."""
    found = {}
    for point, _, theirs in table:
        for name, answers in theirs.items():
            if isinstance(answers, str):
                found.setdefault(name, {})[point.text] = answers
    return "\n".join(f"- {name}: " + ", ".join(f"`{text}`" for text in texts) for name, texts in found.items()) + "\n"


def make():
    """The page, from all the peers; they must be installed."""
    peers = installed(*PEERS)
    return render(compared(peers), [peer.name for peer in peers])
