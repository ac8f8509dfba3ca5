"""Random programs: what Hypothesis draws, and how a drawing runs as a function of arrays."""

from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

SHAPES = ((), (1,), (3,), (2, 1), (1, 3), (2, 3))  # each pair of them broadcasts, to one of them

UNARY = {
    "tanh": np.tanh,
    "sin": np.sin,
    "cos": np.cos,
    "exp": lambda x: np.exp(x * 0.25),
    "negative": np.negative,
    "log": lambda x: np.log(x * x + 1.5),
    "power": lambda x: (x * x + 0.5) ** 1.5,
    "sum": lambda x: np.sum(x, axis=-1, keepdims=True) if np.ndim(x) else x,
    "total": np.sum,
    "row": lambda x: x[0] if np.ndim(x) == 2 else x,
    "column": lambda x: x[:, 1:2] if np.shape(x) == (2, 3) else x,
    "turned": lambda x: x[..., ::-1] if np.ndim(x) else x,
    "repeated": lambda x: x[np.array([2, 0, 2])] if np.shape(x) == (3,) else x,
    "reshaped": lambda x: np.reshape(x, (1, 3)) if np.shape(x) == (3,) else x,
    "stretched": lambda x: np.broadcast_to(x, (2, 3)),
    "transposed": lambda x: np.transpose(np.transpose(x)),
    "written": lambda x: x.at[0].set(x[-1] * 2.0) if np.shape(x) == (3,) and hasattr(x, "at") else x,
    "literal": lambda x: x * np.array([0.5, -1.0, 2.0]),
    "branch": lambda x: np.sin(x) if np.sum(x) > 0 else x * 0.5 + 1.0,
    "loop": lambda x: _twice_or_more(x),
}
BINARY = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": lambda a, b: a / (2.5 + np.sin(b)),
    "matmul": lambda a, b: _product(a, b) if (np.shape(a), np.shape(b)) == ((2, 3), (3,)) else a * b,
}
TERNARY = {
    "where": lambda a, b, c: np.where(a > 0.1, b, c),
    "stack": lambda a, b, c: np.stack([a, b, c]) if np.shape(a) == np.shape(b) == np.shape(c) == () else a * b - c,
    "fused": lambda a, b, c: a * b + c,
}
STEPS = [(n, name, f) for n, kind in enumerate((UNARY, BINARY, TERNARY), start=1) for name, f in kind.items()]
NODES = {"exp": 2, "log": 3, "power": 4, "transposed": 2, "branch": 4, "loop": 6, "divide": 3, "matmul": 2, "where": 2,
         "fused": 2, "written": 3}  # fmt: skip
"""How many nodes a step may record, where it is more than one."""


def _product(a, b):
    return np.matmul(a, np.reshape(b, (3, 1)))


def _twice_or_more(x):
    count = 0
    while count < 3 and np.max(np.abs(_plain(x))) < 2.0:  # a loop whose length depends on the values
        x = x * 1.5 + 0.25
        count += 1
    return x


class Program(NamedTuple):
    """A drawn program: the shapes of its leaves, whether values are used again, and its steps."""

    shapes: tuple[Any, ...]
    reuse: bool
    steps: tuple[Any, ...]
    limit: int
    seed: int

    def leaves(self):
        rng = np.random.default_rng(self.seed)
        return tuple(np.asarray(rng.uniform(-1.5, 1.5, shape))[()] for shape in self.shapes)

    def __call__(self, *leaves):
        """One number. What is computed and not led to it is a dead branch."""
        pool, fresh = list(leaves), list(leaves)
        nodes = len(pool)
        for kind, *picks in self.steps:
            arity, name, step = STEPS[kind % len(STEPS)]
            nodes += NODES.get(name, 1) + 1
            if nodes > self.limit:
                break
            operands = [self._pick(pool, fresh, pick) for pick in picks[:arity]]
            y = step(*operands)
            if np.shape(y) not in SHAPES:  # a program stays among shapes that broadcast
                y = np.sum(y)
            if np.max(np.abs(_plain(y))) > 4.0:  # and among numbers that neither overflow nor cancel
                y = np.sin(y)
            pool.append(y)
            fresh.append(y)
        return np.sum(pool[-1]) * 1.0

    def _pick(self, pool, fresh, pick):
        if self.reuse or not fresh:
            return pool[pick % len(pool)] if pick % 3 else pool[-1]
        return fresh.pop(pick % len(fresh))


def _plain(y):
    while hasattr(y, "recorder"):
        y = y.value
    return y


@st.composite
def programs(draw, limit=40):
    """Programs of at most about `limit` nodes; half of them use values again."""
    pick = st.integers(0, 60)
    length = draw(st.integers(1, limit // 2))
    return Program(
        shapes=tuple(draw(st.lists(st.sampled_from(SHAPES), min_size=1, max_size=3))),
        reuse=draw(st.booleans()),
        steps=tuple(draw(st.lists(st.tuples(pick, pick, pick, pick), min_size=length, max_size=length))),
        limit=limit,
        seed=draw(st.integers(0, 2**32 - 1)),
    )
