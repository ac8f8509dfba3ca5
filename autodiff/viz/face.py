"""What is written in a box and on an arrow, and how large a box must be for it."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from .lettering import clean, file_name, number, width
from .picture import leaf
from .theme import Scale, on
from .view import Arrow, Box, size

TITLE, BODY, SMALL = 11.0, 9.0, 8.0
INDENT = 8.0
GAP = 9.0  # between an amount and its range
TAG = 33.0  # where numbers start, after "value" and "δ"


@dataclasses.dataclass
class Row:
    """One line of a box: a muted tag, a text, and what lies behind it."""

    tag: str
    text: str
    colour: str = "@ink"
    band: str | None = None  # the fill of the band behind the line
    italic: bool = False
    rest: str = ""  # after the amount, in ordinary weight

    def width(self) -> float:
        """How wide the line is."""
        rest = GAP + width(self.rest, BODY) if self.rest else 0.0
        return (TAG if self.tag else 0.0) + width(self.text, BODY, bool(self.band)) + rest


@dataclasses.dataclass
class Face:
    """What is written in a box."""

    title: str
    kind: str  # shape and dtype, on the right of the title
    rows: list[Row]
    dashed: bool
    rounded: bool
    heavy: bool
    width: float = 0.0
    height: float = 0.0
    more: str = ""  # what a hover tells


def amount(numbers: dict[str, Any], digits: int = 4) -> str:
    """A value or δ in words: the number itself, or the RMS; what is not finite is told by ``states``."""
    if "number" in numbers:
        x = numbers["number"]
        if isinstance(x, list):
            sign = "−" if x[1] < 0 else "+"
            return f"{number(x[0])} {sign} {number(abs(x[1]))}i"
        return number(x, digits)
    return "" if numbers["rms"] is None else f"{number(numbers['rms'])} rms"


def spread(numbers: dict[str, Any]) -> tuple[str, str]:
    """The amount and the range of an array, or the one number that all its elements are."""
    if "number" not in numbers and numbers["min"] is not None and numbers["min"] == numbers["max"]:
        return f"all {number(numbers['min'])}", ""
    return amount(numbers), extent(numbers)


def extent(numbers: dict[str, Any]) -> str:
    """The range of an array."""
    if "number" in numbers or numbers["min"] is None:
        return ""
    return f"{number(numbers['min'])} … {number(numbers['max'])}"


def states(numbers: dict[str, Any]) -> str:
    """How many elements are NaN or infinite, in words."""
    words = (("nan", "NaN"), ("+inf", "+Inf"), ("-inf", "−Inf"))
    found = [f"{word} ×{numbers[key]}" for key, word in words if numbers[key]]
    if numbers["size"] == 1:
        return found[0].split(" ")[0] if found else ""
    return f"{', '.join(found)} of {numbers['size']}" if found else ""


def ordinary(numbers: dict[str, Any] | None) -> bool:
    """Whether a δ has a size that belongs on the colour scale: finite, not zero, not subnormal throughout."""
    return bool(
        numbers is not None and numbers["rms"] and not states(numbers)
        and numbers["zero"] + numbers["subnormal"] < numbers["size"]
    )  # fmt: skip


def _shape(node: dict[str, Any]) -> str:
    shape = "×".join(map(str, node["shape"]))
    if isinstance(node["dtype"], list):
        return f"{len(node['dtype'])} result{'s' * (len(node['dtype']) != 1)}"
    return f"{node['dtype']} {shape}".strip()


def _delta_row(numbers: dict[str, Any] | None, path: bool | None, scale: Scale) -> Row | None:
    """The line that tells δ, in the colour of its size."""
    if path is None:
        return None
    if numbers is None:
        return Row("", "no path to the output", "@muted", italic=True)
    if not numbers["size"]:
        return Row("δ", "empty", "@ink", "@zero")
    bad = states(numbers)
    if bad:
        rest = f" · rest {amount(numbers)}" if numbers["rms"] is not None else ""
        return Row("δ", bad + rest, "@ontint", "@nan" if numbers["nan"] else "@inf")
    if numbers["zero"] == numbers["size"]:
        return Row("δ", "exactly 0", "@ink", "@zero")
    if not ordinary(numbers):
        return Row("δ", f"{amount(numbers)} · subnormal", "@ink", "@zero")
    fill = scale.colour(numbers["rms"])
    text, rest = spread(numbers)
    return Row("δ", text, on(fill), fill, rest=rest)


def _value_row(numbers: dict[str, Any]) -> Row:
    bad = states(numbers)
    if bad:
        return Row("value", bad, "@nan" if numbers["nan"] else "@inf")
    if not numbers["size"]:
        return Row("value", "empty")
    text, rest = spread(numbers)
    return Row("value", text, rest=rest)


def face(box: Box, scale: Scale) -> Face:
    """The face of a box."""
    found = _scope_face(box, scale) if box.group is not None else _node_face(box, scale)
    widths = [width(found.title, TITLE, bold=True) + (14 + width(found.kind, SMALL) if found.kind else 0)]
    widths += [row.width() for row in found.rows]
    found.width = max(64.0, round(max(widths) + 2 * INDENT + 2, 1))
    found.height = 21.0 + 15.0 * len(found.rows) + (2.0 if found.rows else 0.0)
    return found


def _node_face(box: Box, scale: Scale) -> Face:
    node = box.node
    if node["name"]:
        title = clean(node["name"])
        if not leaf(node):
            title += f" = {clean(node['call'])}"
    else:
        title = clean(node["call"])
    if box.uses > 1:
        title += f" ⟲{box.uses}"
    rows = [_value_row(node["value"])] if node["value"] is not None else []
    told = _delta_row(node["delta"], node["path"], scale)
    if told is not None:
        if box.uses > 1 and node["delta"] is not None:
            told.rest = f"{told.rest}  in total".strip()
        rows.append(told)
    for badge in node["badges"]:
        if badge == "cancels":
            rows.append(Row("", "contributions cancel", "@inf", italic=True))
        elif badge.startswith("δ subnormal") and ordinary(node["delta"]):
            rows.append(Row("", f"{badge[2:]} of {node['delta']['size']}", "@muted", italic=True))
    return Face(title, _shape(node), rows, node["path"] is False, leaf(node), node["output"], more=_node_more(node))


def _scope_face(box: Box, scale: Scale) -> Face:
    assert box.group is not None
    leaves = sum(leaf(node) for node in box.members)
    operations = len(box.members) - leaves
    counts = f"{operations} operation{'s' * (operations != 1)}"
    if leaves:
        counts += f" · {leaves} lea{'f' if leaves == 1 else 'ves'}"
    rows = [Row("", counts, "@muted")]
    paths = [node["path"] for node in box.members if not leaf(node)] or [node["path"] for node in box.members]
    numbers = size(box)
    told = _delta_row(numbers, None if None in paths and True not in paths else any(paths), scale)
    if told is not None:
        told.rest += " by node" if told.rest else ""
        rows.append(told)
    lost = sum(path is False for path in paths)
    if lost and lost < len(paths):
        rows.append(Row("", f"no path from {lost} of {len(paths)}", "@muted", italic=True))
    if box.join is not None:
        skip, residual = box.join["skip_share"], box.join["residual_share"]
        shares = f"skip {skip:z.0%} · residual {residual:z.0%}".replace("-", "−").replace("%", " %")
        known = math.isfinite(skip) and math.isfinite(residual)
        rows.append(Row("", shares if known else "no shares: its δ is zero or no number"))
    name = clean(" / ".join(box.group))
    return Face(name, "", rows, bool(paths) and not any(paths) and paths[0] is False, False, True,
                more=f"{name}: {counts}")  # fmt: skip


def _node_more(node: dict[str, Any]) -> str:
    """What a hover tells of a node."""
    said = [f"node {node['id']}: {clean(node['call'], 200)}"]
    if node["name"]:
        said[0] += f", named {clean(node['name'], 200)}"
    if node["scope"]:
        said.append("scope " + clean("/".join(node["scope"]), 200))
    if node["line"]:
        said.append(f"{clean(file_name(node['line']['file']), 200)}:{node['line']['line']}")
    said += [clean(formula, 200) for formula in node["formulas"] if formula]
    for key, word in (("value", "value"), ("delta", "δ")):
        if node[key] is not None:
            said.append(f"{word}: {amount(node[key], 12)} {extent(node[key])} {states(node[key])}".rstrip())
    return "\n".join(said + node["badges"])


# -- arrows ------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Line:
    """How an arrow looks: its label, the RMS that colours it, the share that makes it wide."""

    text: str
    size: float | None
    share: float | None
    state: str  # "", "zero", "nan", "inf", "none", "later"; "value" where it carries that instead of δ
    more: str
    label_width: float = 0.0


def line(arrow: Arrow) -> Line:
    """How an arrow looks."""
    if arrow.carries is not None:
        return _value_line(arrow.carries)
    active = [edge for edge in arrow.edges if edge["kind"] == "δ"]
    more = f"{len(arrow.edges)} edges" if len(arrow.edges) > 1 else f"argument {arrow.edges[0]['slot']}"
    if not active and any(edge["kind"] == "not yet" for edge in arrow.edges):
        return Line("", None, None, "later", f"{more}: not yet served")
    if not active:
        return Line("", None, None, "none", f"{more}: no δ comes back")
    numbers, share = arrow.whole or _joined(active), _share(active)
    edge = active[0]
    text = states(numbers).split(" of ")[0] or amount(numbers).removesuffix(" rms")
    if numbers["size"] and numbers["zero"] == numbers["size"]:
        text = "0"
    if share is not None and share < 0.9995:
        percent = f"{share:.0%}".replace("%", " %")
        text += f" ({percent}, opposes)" if len(active) == 1 and edge["projection"] < 0 else f" ({percent})"
    if len(active) > 1 and arrow.whole is None:
        text += f" ×{len(active)}"  # the RMS over the elements of so many contributions
    if len(active) == 1:
        told = [" ".join(filter(None, (amount(numbers, 12), extent(numbers) or states(numbers)))) or "empty"]
        shares = (("projection share", "projection"), ("norm share", "norm_share"), ("cosine", "cosine"))
        told += [f"{name} {edge[key]:.4g}" for name, key in shares if math.isfinite(edge[key])]
        more += f": contribution {', '.join(told)}"
    state = "nan" if numbers["nan"] else "inf" if states(numbers) else "" if ordinary(numbers) else "zero"
    found = Line(text, numbers["rms"] if not state else None, share, state, more)
    found.label_width = width(text, SMALL)
    return found


def _value_line(value: dict[str, Any]) -> Line:
    """How an arrow looks that carries a value forward."""
    if not value:
        return Line("", None, None, "value", "the values of several nodes")
    text = states(value).split(" of ")[0] or amount(value).removesuffix(" rms")
    return Line(text, None, None, "value", f"value {amount(value, 12)} {extent(value)}".rstrip(), width(text, SMALL))


def _share(edges: list[dict[str, Any]]) -> float | None:
    """The share of several edges in the sums of norms at the nodes that they leave; None where there is none."""
    norms: dict[int, list[float]] = {}
    for edge in edges:
        share, rms = edge["norm_share"], edge["delta"]["rms"]
        if share != share or rms is None:
            return None
        known = norms.setdefault(edge["from"], [0.0, 0.0])
        known[0] += share
        known[1] = max(known[1], rms * math.sqrt(edge["delta"]["size"]) / share if share else 0.0)
    whole = sum(total for _, total in norms.values())
    return sum(share * total for share, total in norms.values()) / whole if whole else None


def _joined(edges: list[dict[str, Any]]) -> dict[str, Any]:
    """The contributions of several edges taken together: the RMS over all their elements."""
    if len(edges) == 1:
        return edges[0]["delta"]  # type: ignore[no-any-return]
    whole = size(Box("", [{"delta": edge["delta"], "kind": "op"} for edge in edges], (), group=()))
    assert whole is not None
    return whole
