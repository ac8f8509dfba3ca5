"""Each workload on this engine and by hand, with pytest-benchmark: ``pytest tests/benchmarks --benchmark-only``.

The paired comparison with the peers, which is what the table is made of, is ``python -m tests.benchmarks``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from .engines import agree, installed, plain, runner
from .rules import RULES
from .workloads import WORKLOADS, Workload


@pytest.mark.parametrize("work", [*WORKLOADS, *RULES], ids=lambda w: w.name)
@pytest.mark.parametrize("engine", ["autodiff", "numpy by hand"])
def test_speed(benchmark: Any, work: Workload, engine: str) -> None:
    args = work.arguments(np.random.default_rng(0))
    run = runner(engine, work, args)
    if run is None:
        pytest.skip("nobody writes this one by hand")
    ours = runner("autodiff", work, args)
    assert ours is not None
    assert agree(plain(ours()), plain(run()), work.tolerance)
    benchmark.group = work.name
    benchmark.pedantic(run, rounds=5, iterations=max(1, work.repeats // 5), warmup_rounds=1)


@pytest.mark.parametrize("engine", [name for name in installed() if name not in ("autodiff", "jax")])
@pytest.mark.parametrize("work", [w for w in WORKLOADS if w.bound_by == "overhead"], ids=lambda w: w.name)
def test_engines_agree(work: Workload, engine: str) -> None:
    args = work.arguments(np.random.default_rng(0))
    theirs, ours = runner(engine, work, args), runner("autodiff", work, args)
    if theirs is None or ours is None:
        pytest.skip(f"{engine} cannot run this one")
    assert agree(plain(ours()), plain(theirs()), work.tolerance)
