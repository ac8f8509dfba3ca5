"""Each workload on this engine and by hand, with pytest-benchmark: ``pytest tests/benchmarks --benchmark-only``.

The paired comparison with the peers, which is what the table is made of, is ``python -m tests.benchmarks``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from .engines import ENGINES, UnableError, agree, first_result, installed, plain, runner
from .rules import RULES
from .workloads import WORKLOADS, Workload


@pytest.mark.parametrize("work", [*WORKLOADS, *RULES], ids=lambda w: w.name)
@pytest.mark.parametrize("engine", ["autodiff", "numpy by hand"])
def test_speed(benchmark: Any, work: Workload, engine: str) -> None:
    args = work.arguments(np.random.default_rng(0))
    try:
        run = runner(engine, work, args)
    except UnableError as error:
        pytest.skip(str(error))
    assert agree(plain(runner("autodiff", work, args)()), plain(run()), work.tolerance)
    benchmark.group = work.name
    benchmark.pedantic(run, rounds=5, iterations=max(1, work.repeats // 5), warmup_rounds=1)


QUICK = [name for name in installed() if name == "autodiff jit" or not ENGINES[name].compiles]
"""Peers that compile take seconds for each row; the command compares their results as well."""


@pytest.mark.parametrize("engine", [name for name in QUICK if name != "autodiff"])
@pytest.mark.parametrize("work", [w for w in WORKLOADS if w.bound_by == "overhead"], ids=lambda w: w.name)
def test_engines_agree(work: Workload, engine: str) -> None:
    args = work.arguments(np.random.default_rng(0))
    ours = plain(runner("autodiff", work, args)())
    try:
        theirs = first_result(engine, runner(engine, work, args))
    except UnableError as error:
        pytest.skip(str(error))
    assert agree(ours, theirs, work.tolerance)
