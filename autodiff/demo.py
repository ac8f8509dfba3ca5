"""The demo: a residual network learns to read handwritten digits, then shows where its gradient went.

Everything above :func:`run` is what a user would write: plain NumPy, parameters in dicts and lists, and a scope around
each block so that the picture can speak of blocks.
"""

from __future__ import annotations

import csv
import importlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import optree

from .errors import CommandError, message
from .flows import GradientFlow, Rows, divide, norm
from .transforms import flow, name, scope, stop_gradient, value_and_grad
from .viz.options import Options
from .viz.raster import able

BLOCKS, WIDTH, BATCH = 8, 64, 64
RATE, MOMENTUM, DECAY = 0.02, 0.9, 1e-4
NOISE = 0.2  # standard deviation added to pixels of 0 to 1: 1437 images are few, and this is the plainest way to more
EPOCHS, QUICK_EPOCHS = 40, 5
SPLIT_SEED = 0  # the held-out fifth is the same for every --seed, so that accuracies compare

Parameters = Any
"""Nested dicts and lists of arrays; any container would do."""


# -- the data ----------------------------------------------------------------------------------------------------------


class Digits(NamedTuple):
    """Images as rows of 64 pixels in [0, 1], with the digit that each one shows."""

    images: np.ndarray[Any, Any]
    labels: np.ndarray[Any, Any]


def needed(module: str) -> Any:
    """Import what only the demo needs, or say what installs it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise CommandError(
            message(
                f"demo: {module.partition('.')[0]} cannot be imported ({error})",
                "the demo trains on scikit-learn's digits and shows its progress with tqdm",
                'in a checkout: pip install -e ".[demo]"',
            )
        ) from None


def load_digits() -> tuple[Digits, Digits]:
    """Four fifths of scikit-learn's 1797 digits to learn from, and one fifth held out."""
    images, labels = needed("sklearn.datasets").load_digits(return_X_y=True)
    order = np.random.default_rng(SPLIT_SEED).permutation(len(images))
    held = len(images) // 5
    kept_out, rest = order[:held], order[held:]
    return Digits(images[rest] / 16.0, labels[rest]), Digits(images[kept_out] / 16.0, labels[kept_out])


# -- the network -------------------------------------------------------------------------------------------------------


def initial_parameters(rng: np.random.Generator, classes: int = 10) -> Parameters:
    """Weights as He et al. draw them; those that end a residual branch smaller, so that the sum of 8 stays near 1."""

    def layer(inputs: int, outputs: int, gain: float = 1.0) -> Parameters:
        return {"W": rng.normal(0, gain * np.sqrt(2 / inputs), (inputs, outputs)), "b": np.zeros(outputs)}

    return {
        "stem": layer(64, WIDTH),
        "blocks": [
            {"in": layer(WIDTH, WIDTH), "out": layer(WIDTH, WIDTH, 0.5 / np.sqrt(BLOCKS))} for _ in range(BLOCKS)
        ],
        "head": layer(WIDTH, classes, 0.1),
    }


def dense(p: Parameters, x: Any) -> Any:
    """One layer of weights."""
    return x @ p["W"] + p["b"]


def residual(p: Parameters, x: Any) -> Any:
    """What a block adds to its input."""
    return dense(p["out"], np.maximum(dense(p["in"], x), 0.0))


def network(params: Parameters, x: Any) -> Any:
    """Images in, one score for each digit out."""
    with scope("stem"):
        x = np.maximum(dense(params["stem"], x), 0.0)
    for number, p in enumerate(params["blocks"], 1):
        with scope(f"block{number}"):
            x = x + residual(p, x)  # the skip connection: x goes around the residual branch and is added again
    with scope("head"):
        return dense(params["head"], x)


def loss(params: Parameters, x: Any, target: Any) -> Any:
    """Cross-entropy against rows that hold 1 at the right digit."""
    scores = name(network(params, x), "scores")
    with scope("loss"):
        scores = scores - np.max(stop_gradient(scores), axis=1, keepdims=True)  # exp of what is at most 0
        likelihood = scores - np.log(np.sum(np.exp(scores), axis=1, keepdims=True))
        return -np.mean(np.sum(target * likelihood, axis=1))


def accuracy(params: Parameters, digits: Digits) -> float:
    """The share of images that are read right."""
    return float(np.mean(np.argmax(network(params, digits.images), axis=1) == digits.labels))


# -- training ----------------------------------------------------------------------------------------------------------


def one_hot(labels: Any) -> Any:
    """A row for each label, 1 at its place."""
    return np.eye(10)[labels]


def batches(rng: np.random.Generator, digits: Digits, epochs: int) -> Iterator[tuple[Any, Any]]:
    """Every image once an epoch, in random order, slightly noisy."""
    for _ in range(epochs):
        order = rng.permutation(len(digits.images))
        for start in range(0, len(order) - BATCH + 1, BATCH):
            chosen = order[start : start + BATCH]
            noise = NOISE * rng.normal(size=(BATCH, digits.images.shape[1]))
            yield digits.images[chosen] + noise, one_hot(digits.labels[chosen])


def train(params: Parameters, digits: Digits, epochs: int, rng: np.random.Generator) -> Parameters:
    """Gradient descent with momentum; the rate falls to zero along a half cosine."""
    loss_and_gradient = value_and_grad(loss)
    velocity = optree.tree_map(np.zeros_like, params)
    steps = epochs * (len(digits.images) // BATCH)
    # disable=None: drawn on stderr, and only where that is a terminal
    with needed("tqdm").tqdm(total=steps, desc="training", unit="step", disable=None) as bar:
        for step, (x, target) in enumerate(batches(rng, digits, epochs)):
            value, gradient = loss_and_gradient(params, x, target)
            rate = RATE * (1 + np.cos(np.pi * step / steps)) / 2
            velocity = optree.tree_map(lambda v, g, p: MOMENTUM * v + g + DECAY * p, velocity, gradient, params)
            params = optree.tree_map(lambda p, v, rate=rate: p - rate * v, params, velocity)
            bar.set_postfix(loss=f"{value:.3f}", refresh=False)
            bar.update()
    return params


# -- what it shows -----------------------------------------------------------------------------------------------------


def worked_example(a: Any, b: Any) -> Any:
    """Two inputs with two paths each: for a = 2 and b = 3 the δ of a is 3 + 7.5, that of b is 3 + 5."""
    c = name(a + b, "c")
    d = name(a * b, "d")
    return name(0.5 * (c * d), "o")


def by_block(found: GradientFlow, when: str) -> Rows:
    """Where the δ at each block's input came from: along the skip, and through the residual branch."""
    return Rows(
        {
            "when": when,
            "block": "/".join(found.graph.scopes[join["join"]]),
            "delta": norm(found[join["fork"]]),
            "skip": join["skip_norm"],
            "residual": join["residual_norm"],
            "skip_share": join["skip_share"],
            "residual_share": join["residual_share"],
            "cosine": join["cosine"],
        }
        for join in found.joins()
    )


def by_depth(found: GradientFlow, when: str) -> Rows:
    """How the δ at the first block's input divides over paths, by the number of residual branches that they take."""
    fork = found.joins()[0]["fork"]
    parts = found.by_path(fork)
    shares = divide(parts, found[fork])["terms"]
    return Rows(
        {"when": when, "residual branches": taken, "delta": norm(part), "share": share["projection"]}
        for taken, (part, share) in enumerate(zip(parts, shares, strict=True))
    )


def write_csv(path: Path, rows: Rows) -> None:
    """The rows in full precision."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


TABLE = """\
δ by block. delta is the norm of the δ at the block's input, the sum of two parts: what came back along the skip
connection, and what came back through the residual branch. The share of a part is ⟨part, δ⟩ / ⟨δ, δ⟩: the two sum to
one, and a negative one works against the other. cosine is that of the angle between the parts.

{blocks}

The same by depth. The δ at the first block's input is the sum over all 2^{count} paths through skips and residual
branches; here it is divided, exactly, by how many residual branches a path takes.

{depths}
"""


def run(out: Path, epochs: int, seed: int) -> float:
    """Train, draw, and say where everything is. Returns the accuracy on the held-out fifth."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(
            message(f"demo: cannot write into {out} ({error.strerror})", "the pictures go there", "-o another/folder")
        ) from None
    training, held_out = load_digits()
    rng = np.random.default_rng(seed)
    untrained = initial_parameters(rng)
    started = time.perf_counter()
    params = train(untrained, training, epochs, rng)
    seconds = time.perf_counter() - started
    right = accuracy(params, held_out)

    flows = {"before": on_held_out(untrained, held_out), "after": on_held_out(params, held_out)}
    blocks = Rows(row for when, found in flows.items() for row in by_block(found, when))
    depths = Rows(row for when, found in flows.items() for row in by_depth(found, when))
    table = TABLE.format(blocks=blocks, depths=depths, count=BLOCKS)
    print(
        f"{right:.1%} of {len(held_out.labels)} held-out digits read right, after {epochs} epochs over "
        f"{len(training.labels)} others in {seconds:.1f} s\n\n{table}\nwritten:"
    )
    written = draw(out, flows["after"])
    write_csv(out / "delta_by_block.csv", blocks)
    write_csv(out / "delta_by_depth.csv", depths)
    (out / "delta.txt").write_text(table, encoding="utf-8")
    written += [
        (out / "delta.txt", "the tables above"),
        (out / "delta_by_block.csv", "the first of them in full precision, delta_by_depth.csv the second"),
    ]
    for path, what in written:
        print(f"  {path}  {what}")
    return right


def draw(out: Path, trained: GradientFlow) -> list[tuple[Path, str]]:
    """The three pictures: PNG where Graphviz can make it, SVG elsewhere."""
    form = "png" if able(Options()) else "svg"
    block, network_, example = (out / f"{stem}.{form}" for stem in ("block", "network", "worked_example"))
    middle = f"block{BLOCKS // 2}"
    members = [v for v, path in enumerate(trained.graph.scopes) if path == (middle,)]
    trained.draw(block, title=f"{middle}, one of {BLOCKS}", focus=members, hops=1)
    trained.draw(network_, title=f"a residual network of {BLOCKS} blocks, one box a scope", collapse=1)
    flow(worked_example)(2.0, 3.0).draw(example, title="o = ½cd, c = a + b, d = ab")
    return [
        (block, f"{middle}: a skip and its residual branch, with δ on every edge"),
        (network_, "the whole network, one box a scope"),
        (example, "o = ½(a + b)(ab) at a = 2, b = 3: δ is 10.5 and 8 at the leaves"),
    ]


def on_held_out(params: Parameters, digits: Digits) -> GradientFlow:
    """The gradient of the mean loss on the held-out digits."""
    return flow(loss, argnums=0)(params, digits.images, one_hot(digits.labels))
