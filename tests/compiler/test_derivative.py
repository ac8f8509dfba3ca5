"""A compiled function inside of another trace: two programs for a reverse sweep, as it is for everything else."""

import threading

import numpy as np
import pytest
from hypothesis import given

import autodiff as ad
from autodiff.compiler import derivative
from autodiff.errors import LeakError
from tests.compiler.test_passes import compilable
from tests.laws.graphs import programs
from tests.laws.test_random_graphs import many

RNG = np.random.default_rng(0)
X, W = RNG.standard_normal(3), RNG.standard_normal((3, 3))


def loss(x, w):
    return np.sum(np.tanh(x @ w + 1.0) * np.exp(-x * x)) * 0.5


def branching(x, w):
    y = np.where(x > 0, np.sqrt(np.abs(x)), 0.0) @ w
    return np.sum(np.sort(y) * np.cumsum(x)) / (1.0 + np.max(y))


def decomposed(x, w):
    s = np.linalg.svd(w @ w.T + np.eye(3))[1]
    return np.sum(np.log(s) * x) + np.sum(np.linalg.solve(w + 4 * np.eye(3), x))


def twice(f):
    return lambda x, w: ad.grad(lambda x, w: np.sum(np.sin(ad.grad(f)(x, w))), (0, 1))(x, w)


def flat(tree):
    return [np.asarray(y) for y in ad.call.optree.tree_leaves(tree, namespace="autodiff")]


TRANSFORMS = {
    "grad": lambda f: ad.grad(f),
    "both": lambda f: ad.grad(f, (0, 1)),
    "value_and_grad": lambda f: ad.value_and_grad(f, (1, 0)),
    "second": twice,
    "third": lambda f: ad.grad(lambda x, w: np.sum(twice(f)(x, w)[0] ** 2)),
    "vjp": lambda f: lambda x, w: ad.vjp(f, x, w)[1](0.5),
    "jvp": lambda f: lambda x, w: ad.jvp(f, (x, w), (x + 1, w * 2)),
    "hvp": lambda f: lambda x, w: ad.hvp(f, (x, w), (x + 1, w * 2)),
    "jvp of vjp": lambda f: lambda x, w: ad.jvp(lambda s: ad.vjp(f, x, w)[1](s), (0.5,), (2.0,)),
    "hessian": lambda f: ad.hessian(f),
    "jacobian of grad": lambda f: ad.jacobian(ad.grad(f), 1),
    "vmap of grad": lambda f: lambda x, w: ad.vmap(ad.grad(f), (0, None))(np.stack([x, 2 * x]), w),
    "grad of vmap": lambda f: ad.grad(lambda x, w: np.sum(ad.vmap(f, (0, None))(np.stack([x, 2 * x]), w) ** 2)),
    "jit of grad": lambda f: ad.jit(ad.grad(f, (0, 1))),
    "grad of jit": lambda f: ad.grad(ad.jit(lambda x, w: f(x, w) * 2.0)),
    "checkpoint": lambda f: ad.grad(lambda x, w: ad.checkpoint(f)(x, w) ** 2, (0, 1)),
}


@pytest.mark.parametrize("f", [loss, branching, decomposed])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_every_transform_of_a_compiled_function(f, name):
    transform = TRANSFORMS[name]
    compiled = ad.jit(f)
    for x, w in ((X, W), (X + 2, W * 0.5)):
        for got, want in zip(flat(transform(compiled)(x, w)), flat(transform(f)(x, w)), strict=True):
            assert (got.shape, got.dtype) == (want.shape, want.dtype)
            np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-11 * np.abs(want).max())


@many
@given(programs())
def test_random_functions(program):
    xs = program.leaves()
    if compilable(program, xs) is None:
        return
    places = tuple(range(len(xs)))
    value, gradients = ad.value_and_grad(ad.jit(program), places)(*xs)
    want, wanted = ad.value_and_grad(program, places)(*xs)
    np.testing.assert_allclose(value, want, rtol=1e-12, atol=1e-13)
    for a, b in zip(gradients, wanted, strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12 * (1 + np.abs(b).max(initial=0)))


def test_pointwise_work_keeps_its_bits():
    def f(x):
        return np.sin(x) * np.exp(x) - np.tanh(x) / (x * x + 1.0)

    seed = np.linspace(-1, 1, 3)
    np.testing.assert_array_equal(ad.vjp(ad.jit(f), X)[1](seed)[0], ad.vjp(f, X)[1](seed)[0])


def test_the_functions_code_runs_once_a_signature_and_order():
    calls = []

    def f(x):
        calls.append(1)
        return np.sum(np.tanh(x) ** 3)

    compiled = ad.jit(f)
    for x in (X, X + 1, X * 2):
        ad.grad(compiled)(x)
    assert len(calls) == 1
    ad.grad(compiled)(np.ones((2, 2)))
    assert len(calls) == 2
    for x in (X, X + 1):
        ad.grad(lambda x: np.sum(ad.grad(compiled)(x) ** 2))(x)
    assert len(calls) == 3  # the sweep as a function that is swept again


def test_a_sweep_calls_two_programs_and_no_rule_of_an_operation_inside(monkeypatch):
    compiled = ad.jit(loss)
    ad.grad(compiled)(X, W)
    called = []
    tanh = next(op for op in ad.trace(loss)(X, W).ops if op.name == "tanh")
    rule = tanh.vjps[0]
    monkeypatch.setattr(tanh, "vjps", (lambda *args: called.append(1) or rule(*args),))
    ad.grad(compiled)(X, W)
    assert not called
    ad.grad(loss)(X, W)
    assert called


def test_what_is_cut_costs_nothing_where_it_can_be_made_again():
    """The forward program saves tanh's result, and neither the transposed weights nor 1 − t²."""
    compiled = ad.jit(lambda x, w: np.sum(np.tanh(x @ w.T)))
    ad.grad(compiled, 1)(X, W)
    (pair,) = compiled._programs.values()
    trace = ad.recorders.Trace()
    pair.run([X, trace.leaf(W)])
    (shapes,) = (s for op, s in zip(trace.ops, trace.graph.shapes, strict=True) if op.name.startswith("jit("))
    assert shapes == ((), (3,))


def test_results_of_every_kind():
    def f(p, n):
        y = p["w"] * 2.0
        return {"y": y, "n": n, "none": None, "where": np.argmax(y), "constant": np.arange(3.0), "p": p["w"], "s": y[0]}

    compiled = ad.jit(f)
    seen = []

    def g(f):
        def total(w):
            out = f({"w": w}, "label")
            seen.append(out)
            return np.sum(out["y"] * out["constant"] * out["p"]) + out["s"] * out["where"]

        return ad.grad(total)

    np.testing.assert_allclose(g(compiled)(X), g(f)(X), rtol=1e-15)
    got, want = seen
    assert got.keys() == want.keys()
    assert (got["n"], got["none"], got["where"]) == ("label", None, want["where"])
    assert type(got["where"]) is type(want["where"])
    assert type(got["constant"]) is np.ndarray


def test_static_arguments_keywords_and_plain_arrays():
    f = ad.jit(lambda x, n, *, scale, shift=0.0: np.sum(x**n * scale) + shift, static_argnums=1)
    for n in (2, 3):
        np.testing.assert_allclose(ad.grad(f)(X, n, scale=W[0]), n * X ** (n - 1) * W[0], rtol=1e-14)
        np.testing.assert_allclose(ad.grad(lambda s, n=n: f(X, n, scale=s, shift=1.0))(W[0]), X**n, rtol=1e-14)
    np.testing.assert_array_equal(ad.grad(lambda n: np.sum(ad.jit(np.multiply, static_argnums=1)(X, n)))(2.0), X.sum())


def test_types_of_numbers():
    def f(x, rate):
        return np.sum(x * (rate * 0.5))

    x = X.astype(np.float32)
    got, want = ad.grad(ad.jit(f), (0, 1))(x, 0.1), ad.grad(f, (0, 1))(x, 0.1)
    for a, b in zip(got, want, strict=True):
        assert (type(a), a.dtype) == (type(b), b.dtype)
        np.testing.assert_allclose(a, b, rtol=1e-6)
    z = X + 1j * X[::-1]
    square = ad.jit(lambda z: z * np.exp(z))
    np.testing.assert_allclose(ad.vjp(square, z)[1](z)[0], ad.vjp(square._f, z)[1](z)[0], rtol=1e-14)


def test_true_zeros_and_what_is_not_finite():
    def f(x):
        return np.sum(np.where(x > 0, ad.jit(lambda x: np.log(x) * np.sqrt(x))(x), x))

    def eager(x):
        return np.sum(np.where(x > 0, np.log(x) * np.sqrt(x), x))

    with np.errstate(divide="ignore", invalid="ignore"):
        for x in (np.array([4.0, 1.0]), np.array([4.0, 0.0, -1.0]), np.array([np.inf, np.nan, 2.0])):
            np.testing.assert_allclose(ad.grad(f)(x), ad.grad(eager)(x), rtol=1e-14, equal_nan=True)


def test_a_zero_delta_of_a_number_stays_one_whatever_was_saved():
    def f(x):
        return np.sum(np.log(x) * x)

    x = np.array([0.0, 1.0, 2.0])
    with np.errstate(divide="ignore", invalid="ignore"):
        np.testing.assert_array_equal(ad.vjp(ad.jit(f), x)[1](0.0)[0], ad.vjp(f, x)[1](0.0)[0])
        np.testing.assert_array_equal(ad.vjp(ad.jit(f), x[1:])[1](-2.0)[0], ad.vjp(f, x[1:])[1](-2.0)[0])
        np.testing.assert_array_equal(ad.grad(ad.jit(f))(x), ad.grad(f)(x))
        untaken, eager = (ad.grad(lambda x, g=g: np.where(np.sum(x) > 0, 0.0, g(x)))(x) for g in (ad.jit(f), f))
        np.testing.assert_array_equal(untaken, eager)
        np.testing.assert_array_equal(eager, np.zeros(3))


def test_tensors_of_several_traces_and_of_the_surroundings():
    product = ad.jit(lambda a, b: np.sum(np.sin(a) * b))

    def f(product):
        return ad.grad(lambda a: np.sum(ad.grad(lambda b: product(a, b) ** 2)(a + 1.0) * a))

    np.testing.assert_allclose(f(product)(X), f(product._f)(X), rtol=1e-12)

    def closing(jit):
        return ad.grad(lambda w: np.sum(ad.grad(lambda x: jit(lambda x: np.sum(np.sin(x) @ w))(x))(X) ** 2))

    np.testing.assert_allclose(closing(ad.jit)(W), closing(lambda f: f)(W), rtol=1e-12)


def test_what_surrounds_it_is_watched():
    scale = np.array(2.0)
    f = ad.jit(lambda x: np.sum(x * x * scale))
    for scale in (np.array(2.0), np.array(3.0)):
        np.testing.assert_array_equal(ad.grad(f)(X), 2 * X * scale)
        np.testing.assert_array_equal(ad.grad(lambda x: np.sum(ad.grad(f)(x)))(X), 2 * scale * np.ones(3))


def test_a_picture_shows_what_is_inside():
    names = [op.name for op in ad.trace(ad.jit(loss))(X, W).ops]
    assert names == [op.name for op in ad.trace(loss)(X, W).ops]
    assert np.array_equal(ad.flow(ad.jit(loss))(X, W)["x"], ad.flow(loss)(X, W)["x"])


def test_a_pullback_that_is_batched_compiled_or_differentiated():
    def f(x):
        return np.tanh(W @ x) * x

    (y, mine), (want, theirs) = ad.vjp(ad.jit(f), X), ad.vjp(f, X)
    np.testing.assert_allclose(y, want, rtol=1e-15)
    seeds = np.eye(3)
    for transform in (
        lambda pull: ad.vmap(pull)(seeds), lambda pull: ad.jit(pull)(seeds[0]), lambda pull: pull(seeds[1]),
        lambda pull: (ad.jacobian(lambda s: pull(s)[0])(seeds[0]),),
        lambda pull: (ad.grad(lambda s: np.sum(pull(s)[0] ** 2))(seeds[2]),),
    ):  # fmt: skip
        np.testing.assert_allclose(transform(mine)[0], transform(theirs)[0], rtol=1e-12, atol=1e-14)


def test_errors_are_those_of_the_function():
    with pytest.raises(LeakError, match="truth"):
        ad.grad(ad.jit(lambda x: np.sum(x) if np.sum(x) > 0 else -np.sum(x)))(X)
    with pytest.raises(ad.errors.NotScalarError):
        ad.grad(ad.jit(lambda x: x * 2.0))(X)
    with pytest.raises(ValueError, match="broadcast"):
        ad.grad(ad.jit(lambda x: np.sum(x + np.ones(7))))(X)
    slope = ad.grad(ad.jit(lambda x: np.sum(np.linalg.cholesky(x))))
    slope(np.eye(2))
    with pytest.raises(np.linalg.LinAlgError) as caught:
        slope(-np.eye(2))
    assert "in the compiled <lambda>, at what" in caught.value.__notes__[0]


def test_arrays_that_are_written_to_between_the_run_and_the_sweep():
    x, c = X.copy(), W.copy()
    y, pull = ad.vjp(lambda x: ad.jit(lambda x, c: np.sin(x @ c))(x, c), x)
    want = c @ np.cos(x @ c)
    x[:], c[:], y[:] = 7.0, 7.0, 7.0
    np.testing.assert_allclose(pull(np.ones(3))[0], want, rtol=1e-14)
    np.testing.assert_allclose(pull(np.ones(3))[0], want, rtol=1e-14)


def test_gradients_share_memory_with_nothing():
    f = ad.jit(lambda x, y: (x + y, x.T, x))
    x = np.ones((2, 2))
    seed = np.ones((2, 2))
    out, pull = ad.vjp(f, x, x)
    arrays = [*out, *pull((seed, seed, seed)), *pull((seed, seed, seed)), x, seed]
    for i, a in enumerate(arrays):
        assert not any(np.shares_memory(a, b) for b in arrays[:i])


def test_threads():
    f = ad.jit(loss)
    xs = [X + k for k in range(4)]
    wanted = [ad.grad(loss)(x, W) for x in xs]
    wrong = []

    def work(k):
        for _ in range(50):
            if not np.allclose(ad.grad(f)(xs[k], W), wanted[k], rtol=1e-13):
                wrong.append(k)

    workers = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong
    assert len(f._programs) == 1


def test_only_plain_sweeps_take_the_programs():
    seen = []

    def f(x):
        seen.append(derivative.is_swept(x))
        return np.sum(x * x)

    for transform in (lambda f: ad.grad(f), lambda f: ad.grad(lambda x: np.sum(ad.grad(f)(x)))):
        seen.clear()
        transform(f)(X)
        assert all(seen)
    for transform in (ad.trace, ad.jit, lambda f: ad.vmap(f), ad.hessian, lambda f: lambda x: ad.jvp(f, (x,), (x,))):
        seen.clear()
        transform(f)(W)
        assert not any(seen)
