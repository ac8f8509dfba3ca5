"""Random programs on batches: values, gradients and Hessian-vector products are the stack of those of the examples."""

import numpy as np
from hypothesis import given

import autodiff as ad
from autodiff.sweep import evaluate
from tests.laws.graphs import programs
from tests.laws.test_random_graphs import many

EXAMPLES = 3


@many
@given(programs())
def test_a_batch_of_a_random_program(program):
    """Its graph is run again, because the program itself takes decisions on values."""
    leaves = program.leaves()
    graph = ad.trace(program)(*leaves)
    rng = np.random.default_rng(program.seed)
    batches = [x + 0.01 * rng.standard_normal((EXAMPLES, *np.shape(x))) for x in leaves]
    everything = tuple(range(len(leaves)))

    def value(*xs):
        return evaluate(graph, xs)[graph.outputs[0]]

    def curved(*xs):
        return ad.hvp(value, xs, xs)

    ways = [value, ad.grad(value, everything), curved]
    for f in ways:
        for mapped in {everything, everything[:1], everything[-1:]}:
            axes = tuple(0 if i in mapped else None for i in everything)
            given = [b if i in mapped else b[0] for i, b in enumerate(batches)]
            rows = [f(*(x[k] if i in mapped else x for i, x in enumerate(given))) for k in range(EXAMPLES)]
            found = ad.vmap(f, axes)(*given)
            for got, *want in zip(leaves_of(found), *map(leaves_of, rows), strict=True):
                want = np.stack(want)
                assert (got.dtype, got.shape) == (want.dtype, want.shape)
                np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-11 * (1 + np.abs(want).max(initial=0)))


def leaves_of(y):
    return [leaf for part in y for leaf in leaves_of(part)] if isinstance(y, (tuple, list)) else [y]
