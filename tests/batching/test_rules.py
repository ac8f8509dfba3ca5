"""The rules: what is computed at once and what in a loop, positions and tests, and products as large as they can be."""

import warnings

import numpy as np
import pytest

import autodiff as ad
from autodiff.batching import FIRST, RULES, loops, products, rules
from autodiff.graph import OPERATIONS
from autodiff.testing.batches import batched
from autodiff.testing.cases import cases
from tests.laws.registry import CASES, OPS, name

EXAMPLES = 3
FLAT = [pytest.param(case, id=name(case)) for case in CASES if case.op.flat]
RNG = np.random.default_rng(7)


@pytest.fixture
def looped(monkeypatch):
    """The operations of which the examples were taken one after the other."""
    names = []

    def watched(op, *args):
        names.append(op.name)
        return original(op, *args)

    original = rules.one_by_one
    monkeypatch.setattr(rules, "one_by_one", watched)
    return names


@pytest.mark.parametrize("case", FLAT)
def test_flat_operations_on_a_batch(case):
    """Each argument alone and all of them: the very numbers that the examples give one by one."""
    masked = case.op.name in ("any", "all")
    args = tuple(x > 0 if masked and k else x for k, x in enumerate(case.args))
    batches = [np.stack([x, *(np.roll(x, k + 1) for k in range(EXAMPLES - 1))]) for x in args]
    for k in range(len(args) + 1):
        mapped = [k in (i, len(args)) for i in range(len(args))]
        given = [b if on else x for b, x, on in zip(batches, args, mapped, strict=True)]
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            try:
                rows = [
                    case.op(*(x[i] if on else x for x, on in zip(given, mapped, strict=True)), **case.example.params)
                    for i in range(EXAMPLES)
                ]
            except (TypeError, ValueError):  # it takes no such numbers, or rolled edges do not ascend
                continue
            axes = tuple(0 if on else None for on in mapped)
            found = ad.vmap(lambda *xs: case.op(*xs, **case.example.params), axes)(*given)
        want = np.stack(rows)
        np.testing.assert_array_equal(found, want)
        assert found.dtype == want.dtype


@pytest.mark.parametrize("case", [case for case in CASES if case.active], ids=name)
def test_what_has_a_rule_is_not_looped_over(case, looped):
    """And what has none is."""
    batches = [np.stack([x, x]) for x in case.xs]
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ad.vmap(case.f)(*batches)
    partly = {case.op.name} & {*FIRST}
    assert set(looped) <= {op.name for op in OPS if loops(op)} | partly
    assert (case.op.name in looped) == (loops(case.op) or (bool(partly) and len(case.active) > 1))


def test_every_rule_is_of_an_operation():
    assert set(RULES) <= set(OPERATIONS)


@pytest.mark.parametrize("operation", ["sum", "matmul", "getitem", "sort", "layer_norm", "conv", "solve", "einsum"])
def test_a_rule_that_takes_no_care_of_the_batch_is_found_out(operation, monkeypatch):
    """The law is doubted as well: without the rule's care it must fail."""
    careless = {operation: lambda op, args, params, count: op(*map(_array, args), **params)}
    monkeypatch.setattr(rules, "RULES", {**RULES, **careless})
    with pytest.raises((AssertionError, ValueError, IndexError, TypeError)):
        all(batched(case) for case in cases(OPERATIONS[operation]))


def _array(x):
    return x.array if isinstance(x, rules.Batched) else x


# -- few and large calls -----------------------------------------------------------------------------------------------


def computed(f, *args):
    """The operations of a graph with the shapes of their results."""
    return [(node.op.name, node.shape) for node in ad.trace(f)(*args).nodes if node.op.kind != "input"]


def test_a_batch_of_rows_times_one_matrix_is_one_product_of_matrices():
    w, rows, stacks = np.ones((3, 2)), np.ones((5, 3)), np.ones((5, 4, 3))
    assert computed(lambda w, x: ad.vmap(lambda v: v @ w)(x), w, rows) == [("matmul", (5, 2))]
    assert computed(lambda w, x: ad.vmap(lambda v: w @ v)(x), w.T, rows) == [("transpose", (3, 2)), ("matmul", (5, 2))]
    assert computed(lambda w, x: ad.vmap(lambda v: v @ w)(x), w, stacks) == [
        ("reshape", (20, 3)), ("matmul", (20, 2)), ("reshape", (5, 4, 2))
    ]  # fmt: skip


def test_one_matrix_is_factorised_once():
    graph = ad.trace(lambda a, x: ad.vmap(lambda b: np.linalg.solve(a, b))(x))(np.eye(3), np.ones((5, 3)))
    solves = [node for node in graph.nodes if node.op.name == "solve"]
    assert [[node.shape for node in solve.inputs] for solve in solves] == [[(3, 3), (3, 5)]]


def test_the_number_of_calls_does_not_depend_on_the_number_of_examples():
    def loss(w, x):
        return np.sum(np.tanh(np.tanh(x @ w) @ w) ** 2)

    def nodes(count):
        graph = ad.trace(lambda w, x: ad.vmap(ad.grad(loss), (None, 0))(w, x))(np.eye(3), np.ones((count, 3)))
        return len(graph.nodes)

    assert nodes(2) == nodes(200)


def test_views_stay_views():
    kept = []

    def f(x):
        y = x[1:].T[..., None]
        kept.append(np.shares_memory(y.value.array, x.value.array))
        return y

    X = RNG.standard_normal((4, 3, 2))
    ad.vmap(f)(X)
    assert kept == [True]


@pytest.mark.parametrize("index", [
    (np.array([0, 2]), slice(None), np.array([1, 0])), (0, slice(None), np.array([1, 0])), (Ellipsis, np.array([1])),
    (np.array([[0], [1]]), None, np.array([0, 1])), (np.array([True, False, True]),), (None, np.array(1)), (), True,
    (slice(1, None), np.array([True] * 4)), (np.array([True, False, True]), slice(None), np.array([0, 1])), (Ellipsis,),
])  # fmt: skip
def test_where_numpy_puts_the_axes_of_index_arrays(index):
    x = RNG.standard_normal((5, 3, 4, 2))
    np.testing.assert_array_equal(ad.vmap(lambda a: a[index])(x), np.stack([a[index] for a in x]))

    def write(a, v):
        b = a * 1.0
        b[index] = v
        return b

    values = np.stack([a[index] for a in x]) * 2
    found = ad.vmap(write)(x, values)
    want = x.copy()
    for a, v in zip(want, values, strict=True):
        a[index] = v
    np.testing.assert_array_equal(found, want)
    slopes = ad.vmap(ad.grad(lambda a: np.sum(np.sin(a[index]))))(x)
    np.testing.assert_allclose(slopes, np.stack([ad.grad(lambda a: np.sum(np.sin(a[index])))(a) for a in x]))


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize(("n", "k"), [(2, 2), (5, 3), (4, 9), (12, 1), (90, 70)])
@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("f", [np.convolve, np.correlate])
@pytest.mark.filterwarnings("ignore:invalid value")
def test_what_is_not_finite_stays_where_the_kernel_reaches(f, own, n, k, mode):
    a, v = RNG.standard_normal((3, n)), RNG.standard_normal((3, k))
    v[0, k // 2], a[1, 0], a[2, -1] = np.inf, np.nan, -np.inf
    kernels = v if own else v[0]
    want = [f(x, w, mode) for x, w in zip(a, v if own else v[[0, 0, 0]], strict=True)]
    got = ad.vmap(lambda a, v: f(a, v, mode), in_axes=(0, 0 if own else None))(a, kernels)
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)
    if min(n, k) <= products.LONG:
        run = ad.jit(ad.vmap(lambda a, v: f(a, v, mode), in_axes=(0, 0 if own else None)))
        np.testing.assert_allclose(run(a, kernels), want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("f", [np.convolve, np.correlate])
def test_signals_of_no_examples(f):
    assert ad.vmap(f)(np.zeros((0, 5)), np.zeros((0, 2))).shape == (0, *f(np.zeros(5), np.zeros(2)).shape)
    x, w = np.zeros((0, 2)), np.zeros((0, 5))
    assert ad.grad(lambda x: np.sum(ad.vmap(f)(x, w)))(x).shape == x.shape
