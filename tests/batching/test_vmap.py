"""A function of one example on a batch: axes, containers, nesting, what leaks, writes, indices."""

import functools

import numpy as np
import pytest

import autodiff as ad
from autodiff.errors import (
    BatchError,
    BatchWarning,
    ClosedTraceError,
    KeywordError,
    LeakError,
    RuleError,
)

RNG = np.random.default_rng(5)
X, W = RNG.standard_normal((4, 3)), RNG.standard_normal((3, 2))


def loop(f, *args, axes=0, out=0):
    """The stack of f on each example, by a loop."""
    axes = axes if isinstance(axes, tuple) else (axes,) * len(args)
    count = next(a.shape[k] for a, k in zip(args, axes, strict=True) if k is not None)
    rows = [f(*(a if k is None else np.take(a, i, k) for a, k in zip(args, axes, strict=True))) for i in range(count)]
    return np.stack(rows, axis=out)


def check(f, *args, axes=0, out=0, rtol=1e-12):
    want = loop(f, *args, axes=axes, out=out)
    found = ad.vmap(f, axes, out)(*args)
    np.testing.assert_allclose(found, want, rtol=rtol, atol=1e-13)
    assert found.dtype == want.dtype


# -- axes --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
def test_an_axis_of_the_argument(axis):
    check(lambda a: np.tanh(a) @ np.ones(a.shape[1]), RNG.standard_normal((2, 3, 4)), axes=axis)


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
def test_an_axis_of_the_result(axis):
    check(lambda x: np.outer(x, x), X, out=axis)


def test_an_argument_that_is_the_same_for_all():
    check(lambda w, x: x @ w, W, X, axes=(None, 0))
    check(lambda x, w: x @ w, X, W, axes=(0, None))


def test_one_axis_an_argument_as_a_list_is_a_tuple():
    np.testing.assert_array_equal(ad.vmap(np.add, [0, None])(X, X[0]), X + X[0])


def test_containers_take_one_axis_for_all_or_one_for_each():
    params = {"w": RNG.standard_normal((4, 3, 2)), "b": [RNG.standard_normal(2), RNG.standard_normal((2, 4))]}

    def f(p, x):
        return {"y": x @ p["w"] + p["b"][0], "z": (p["b"][1], x)}

    found = ad.vmap(f, in_axes=({"w": 0, "b": [None, 1]}, 0), out_axes={"y": 1, "z": 0})(params, X)
    want = [f({"w": params["w"][i], "b": [params["b"][0], params["b"][1][:, i]]}, X[i]) for i in range(4)]
    np.testing.assert_allclose(found["y"], np.stack([w["y"] for w in want], 1))
    np.testing.assert_allclose(found["z"][0], params["b"][1].T)
    np.testing.assert_allclose(found["z"][1], X)
    both = ad.vmap(lambda p: p["a"] * p["b"])({"a": X, "b": X})
    np.testing.assert_array_equal(both, X * X)


def test_keywords_are_mapped_along_their_first_axis():
    found = ad.vmap(lambda x, *, scale: x * scale["s"], in_axes=1)(X, scale={"s": np.arange(3.0)})
    np.testing.assert_array_equal(found, X.T * np.arange(3.0)[:, None])


def test_none_among_the_arguments_and_the_results_stays():
    found = ad.vmap(lambda x, bias: (x if bias is None else x + bias, None))(X, None)
    np.testing.assert_array_equal(found[0], X)
    assert found[1] is None


def test_a_result_that_does_not_depend_on_the_batch_is_repeated_or_left_alone():
    repeated, alone, number = ad.vmap(lambda x: (np.arange(3.0), np.arange(3.0), 2.0), out_axes=(1, None, 0))(X)
    assert repeated.shape == (3, 4)
    assert alone.shape == (3,)
    np.testing.assert_array_equal(number, np.full(4, 2.0))


def test_integers_and_conditions_are_mapped_as_well():
    found = ad.vmap(lambda i, on: np.where(on, i + 1, -i))(np.arange(4), np.array([True, False] * 2))
    np.testing.assert_array_equal(found, [1, -1, 3, -3])
    assert found.dtype == np.arange(4).dtype


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.complex64])
def test_numbers_of_python_stay_weak(dtype):
    x = np.arange(3).astype(dtype)
    for f in (lambda x: 2.0 * x + 1, lambda x: x**2 / 3, lambda x: np.where(x == 0, 1.0, x)):
        assert ad.vmap(f)(x).dtype == f(x).dtype


# -- mistakes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: ad.vmap(np.add)(X, X[:2]), r"4 in argument 0.*\(axis 0 of \(4, 3\)\); 2 in argument 1"),
        (lambda: ad.vmap(lambda p: p["a"] + p["b"])({"a": X, "b": X[0]}), r"argument 0 \(p\['a'\]\)"),
        (lambda: ad.vmap(lambda x, *, s: x * s)(X, s=X[:3]), "3 in s"),
        (lambda: ad.vmap(np.sin, 2)(X), r"an array of shape \(4, 3\), which has no axis 2"),
        (lambda: ad.vmap(np.sin, -3)(X), "no axis -3"),
        (lambda: ad.vmap(lambda x, y: x + y)(X, 2.0), r"argument 1 \(y\) is a float"),
        (lambda: ad.vmap(lambda x, how: x)(X, "mean"), "is a str"),
        (lambda: ad.vmap(np.sin, None)(X), "no argument of sin is mapped"),
        (lambda: ad.vmap(lambda: 1.0)(), "no argument of <lambda> is mapped"),
        (lambda: ad.vmap(np.add, (0,))(X, X), "was called with 2 positional arguments"),
        (lambda: ad.vmap(lambda p: p["a"], ({"b": 0},))({"a": X}), "does not have the form of the arguments"),
        (lambda: ad.vmap(np.sin, "0")(X), "has '0' for an axis"),
        (lambda: ad.vmap(np.sin, True)(X), "has True for an axis"),
        (lambda: ad.vmap(np.sin, 0, (0, 1))(X), "does not have the form of what sin returned"),
        (lambda: ad.vmap(np.sin, 0, 2)(X), "out_axes has 2 for a result of 2 axes"),
        (lambda: ad.vmap(np.sin, 0, None)(X), r"out_axes has None for float64\[3\] that sin returned"),
        (lambda: ad.vmap(lambda x: "text")(X), "stand in arrays of numbers"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_axes_says_which_argument(call, said):
    with pytest.raises(BatchError, match=said):
        call()


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x if x[0] > 0 else -x,
        lambda x: x * float(x[0]),
        lambda x: np.asarray(x),
        lambda x: x[x > 0],
        lambda x: x * int(x[0]),
        lambda x: [1.0, 2.0, 3.0][np.argmax(x)],
        lambda x: x.tolist(),
        lambda x: 1.0 in x,
    ],
    ids=["if", "float", "asarray", "mask", "int", "index", "tolist", "in"],
)
def test_what_has_one_value_for_each_example_is_not_decided_on(f):
    with pytest.raises((LeakError, IndexError), match=r"of each example|has for its own"):
        ad.vmap(f)(X)


def test_the_leak_names_the_users_line_and_the_cure():
    with pytest.raises(LeakError, match=r"(?s)inside of vmap.*test_vmap\.py.*np\.where") as caught:
        ad.vmap(lambda x: x if x.sum() > 0 else -x)(X)
    assert "in_axes=None" in str(caught.value)


def test_keywords_that_no_rule_understands_are_refused_as_ever():
    with pytest.raises(KeywordError):
        ad.vmap(lambda x: np.fft.fft(x, out=np.empty(3)))(X)


def test_a_tensor_that_outlives_its_batch_is_refused():
    kept = []
    ad.vmap(lambda x: kept.append(x) or x)(X)
    for use in (lambda x: x + 1, np.sum, np.sin):
        with pytest.raises(ClosedTraceError):
            use(kept[0])


def test_an_axis_of_an_example_is_never_that_of_the_batch():
    for f in (lambda x: np.sum(x, axis=-2), lambda x: np.flip(x, 1), lambda x: np.swapaxes(x, 0, -2), np.tril):
        with pytest.raises((np.exceptions.AxisError, IndexError, ValueError)):
            ad.vmap(lambda x, f=f: f(x) if f is not np.tril else np.trace(x))(X)


def test_a_tensor_prints_what_it_stands_for():
    seen = []
    ad.vmap(lambda x: seen.append((repr(x), str(x), f"{x}", len(x), x.shape, x.ndim, x.size)) or x)(X)
    assert seen == [(*["Tensor(float64[3], one of each example)"] * 3, 3, (3,), 1, 3)]


# -- once, and on memory of its own ------------------------------------------------------------------------------------


def test_the_function_runs_once():
    calls = []
    ad.vmap(lambda x: calls.append(1) or x)(X)
    assert calls == [1]


def test_random_numbers_are_drawn_once_for_all_examples():
    found = ad.vmap(lambda x: x * 0 + np.random.default_rng(1).standard_normal(3))(X)
    assert (found == found[0]).all()


def test_results_share_memory_with_nothing():
    x = X.copy()
    for f in (lambda x: x, lambda x: x[::-1], lambda x: x.T, lambda x: np.reshape(x, (3, 1))):
        assert not np.shares_memory(ad.vmap(f)(x), x)
    a, b = ad.vmap(lambda x: (x * 2, x * 2))(x)
    c, d = ad.vmap(lambda x: [x * 2] * 2)(x)
    assert not np.shares_memory(a, b)
    assert not np.shares_memory(c, d)
    repeated = ad.vmap(lambda x: np.ones(2))(x)
    repeated[0] = 5
    assert repeated[1, 0] == 1


def test_an_empty_batch_has_empty_results():
    found = ad.vmap(lambda x: (np.sum(np.tanh(x) @ W), x), (0,))(X[:0])
    assert found[0].shape == (0,)
    assert found[1].shape == (0, 3)
    with pytest.raises(BatchError, match="no examples"):
        ad.vmap(lambda x: np.array_equiv(x, x))(X[:0])


# -- writes and indices ------------------------------------------------------------------------------------------------


def test_writes_show_where_numpy_shows_them():
    def f(x):
        x[0] = x[1] * 2
        x[1:] += x[0]
        view = x[1:]
        view[0] = 7.0
        y = ad.numpy.zeros(3)
        y[1:] = x[:2]
        y[0] = 1
        return x * y

    def plain(x):
        return np.asarray(f(x.copy()))

    kept = X.copy()
    np.testing.assert_allclose(ad.vmap(f)(X), np.stack([plain(x) for x in X]))
    np.testing.assert_array_equal(X, kept)


def test_numbers_are_not_written_into():
    def f(x):
        y = x
        y += 1
        return x

    np.testing.assert_array_equal(ad.vmap(f)(X[:, 0]), X[:, 0])
    with pytest.raises(TypeError, match="item assignment"):
        ad.vmap(lambda x: x.__setitem__((), 1.0))(X[:, 0])


def test_a_write_shows_through_a_transposed_view():
    def f(a):
        turned, row = a.T, a.reshape(-1)
        a[0, 1] = 5.0
        turned[2] *= a[1]
        return turned + row.sum()

    check(f, RNG.standard_normal((2, 3, 3)))


PLACE, PLACES = np.array([2, 0, -1, 1]), np.array([[0, 2], [1, 1], [-1, 0], [2, 2]])
A = RNG.standard_normal((4, 3, 5, 2))


@pytest.mark.parametrize(
    "f",
    [
        lambda x, i, j: x[i],
        lambda x, i, j: x[j],
        lambda x, i, j: x[i, 1:, 0],
        lambda x, i, j: x[:, j],
        lambda x, i, j: x[j, None, ::2, j - 1],
        lambda x, i, j: x[j, :, 1],
        lambda x, i, j: x[..., i % 2],
        lambda x, i, j: x[1, j],
        lambda x, i, j: x[None, np.array([[0], [2]]), j],
        lambda x, i, j: x[np.array([True, False, True]), j],
        lambda x, i, j: np.take(x, i),
        lambda x, i, j: np.take(x, j, axis=1),
        lambda x, i, j: np.take(x, j + 4, axis=-2, mode="wrap"),
        lambda x, i, j: np.take(x, j * 4, axis=0, mode="clip"),
        lambda x, i, j: np.take(ad.numpy.arange(7.0), j),
        lambda x, i, j: np.take_along_axis(x[0], np.argsort(x[1], axis=0), axis=0),
        lambda x, i, j: x[np.argmax(x[:, 0, 0])],
        lambda x, i, j: x[::-1][[0, 1]],
    ],
)  # fmt: skip
@pytest.mark.parametrize("mapped", [(0, 0), (None, 0), (0, None)])
def test_an_index_of_its_own_for_each_example(f, mapped):
    of_x, of_places = mapped
    axes = (of_x, of_places, of_places)
    x, i, j = (a if axis == 0 else a[0] for a, axis in zip((A, PLACE, PLACES), axes, strict=True))

    def slope(x, i, j):
        return ad.grad(lambda x: np.sum(np.sin(f(x, i, j)) ** 2))(x)

    check(f, x, i, j, axes=axes)
    check(slope, x, i, j, axes=axes)
    check(lambda x, i, j: ad.jvp(lambda x: slope(x, i, j), (x,), (x,))[1], x, i, j, axes=axes)


def written(x, i, j):
    y = x * 1.0
    y[i] = y[0] * 2
    y[j, 1:3, 0] = x[i, 1:3, 1]
    y[:, j] += 1.0
    return y.at[i, j].set(x[0, 0]).at[j].add(x[1]).at[..., 0].multiply(x[0, 0, 0])


@pytest.mark.parametrize("axes", [(0, 0, 0), (None, 0, 0), (0, None, 0)])
def test_writing_to_an_index_of_its_own_for_each_example(axes):
    args = [a if axis == 0 else a[0] for a, axis in zip((A, PLACE, PLACES), axes, strict=True)]

    def plain(x, i, j):
        return ad.jvp(lambda x: written(x, i, j), (x,), (x,))[0]

    check(plain, *args, axes=axes)
    check(lambda x, i, j: ad.grad(lambda x: np.sum(written(x, i, j) ** 3))(x), *args, axes=axes)


def test_a_mask_of_each_example_is_no_index_and_chooses():
    with pytest.raises(LeakError, match=r"np\.where"):
        ad.vmap(lambda x: x[x > 0])(X)
    check(lambda x: np.sum(np.where(x > 0, x, 0)), X)


# -- nesting -----------------------------------------------------------------------------------------------------------


def loss(w, x):
    return np.sum(np.tanh(x @ w) ** 2)


def test_gradients_of_single_examples():
    check(ad.grad(loss), W, X, axes=(None, 0))
    check(ad.grad(loss, 1), W, X, axes=(None, 0))


def test_the_gradient_of_a_mean_over_a_batch():
    found = ad.grad(lambda w: np.mean(ad.vmap(loss, (None, 0))(w, X)))(W)
    np.testing.assert_allclose(found, np.mean(loop(ad.grad(loss), W, X, axes=(None, 0)), axis=0), rtol=1e-13)


def test_forward_mode_inside_and_outside():
    check(lambda x: ad.jvp(np.sin, (x,), (x,))[1], X)
    value, tangent = ad.jvp(lambda w: ad.vmap(loss, (None, 0))(w, X), (W,), (W,))
    np.testing.assert_allclose(value, loop(loss, W, X, axes=(None, 0)))
    np.testing.assert_allclose(tangent, loop(lambda w, x: np.sum(ad.grad(loss)(w, x) * w), W, X, axes=(None, 0)))


def test_second_order():
    check(ad.hessian(loss), W, X, axes=(None, 0))
    check(lambda w, x: ad.hvp(lambda w: loss(w, x), (w,), (w,))[1], W, X, axes=(None, 0))
    check(ad.grad(lambda x: np.sum(ad.grad(loss, 1)(W, x) ** 2)), X)
    found = ad.hessian(lambda w: np.sum(ad.vmap(loss, (None, 0))(w, X)))(W)
    np.testing.assert_allclose(found, np.sum(loop(ad.hessian(loss), W, X, axes=(None, 0)), axis=0), rtol=1e-12)


def test_batches_of_batches():
    pairs = ad.vmap(ad.vmap(np.dot, (None, 0)), (0, None))(X, X)
    np.testing.assert_allclose(pairs, X @ X.T)
    swapped = ad.vmap(lambda x: ad.vmap(lambda y: y - x, out_axes=1)(X))(X)
    np.testing.assert_allclose(swapped, np.transpose(X[None] - X[:, None], (0, 2, 1)))
    third = ad.vmap(ad.vmap(ad.vmap(lambda a: np.sort(a)[0])))(A)
    np.testing.assert_allclose(third, A.min(-1))


def test_the_compiled_batch_and_a_batch_of_what_is_compiled():
    for f in (ad.jit(ad.vmap(ad.grad(loss), (None, 0))), ad.vmap(ad.jit(ad.grad(loss)), (None, 0))):
        np.testing.assert_allclose(f(W, X), loop(ad.grad(loss), W, X, axes=(None, 0)), rtol=1e-13)
    labelled = ad.vmap(ad.grad(lambda w, x, label: -ad.nn.log_softmax(x @ w)[label]), (None, 0, 0))
    labels = np.array([0, 1, 1, 0])
    np.testing.assert_allclose(ad.jit(labelled)(W, X, labels), labelled(W, X, labels), rtol=1e-13)


def test_a_checkpoint_in_a_batch():
    """Its code runs twice for all examples together, with the labels that each has for its own."""
    runs, labels = [], np.array([0, 2, 1, 1])

    @ad.checkpoint
    def block(x, label):
        runs.append(1)
        return np.tanh(x) ** 2 * x[label]

    slope = ad.grad(lambda x, label: np.sum(block(x, label)))
    want = loop(slope, X, labels)
    runs.clear()
    np.testing.assert_allclose(ad.vmap(slope)(X, labels), want, rtol=1e-13)
    assert runs == [1, 1]
    np.testing.assert_allclose(ad.jit(ad.vmap(slope))(X, labels), want, rtol=1e-13)
    check(ad.checkpoint(lambda x: np.sum(x) * W), X)
    outside = ad.grad(lambda y: np.sum(ad.vmap(ad.grad(lambda x: np.sum(ad.checkpoint(lambda x: x**2 * y)(x))))(X)))
    np.testing.assert_allclose(outside(X[0]), 2 * np.sum(X, axis=0))


def test_a_checkpoint_that_computes_something_else_in_a_batch_is_found_out():
    numbers = iter(range(9))
    with pytest.raises(RuleError, match="the second time"):
        ad.vmap(ad.grad(lambda x: np.sum(ad.checkpoint(lambda t: t * next(numbers))(x))))(X)


def test_tensors_of_an_outer_function_come_in_through_the_closure():
    found = ad.grad(lambda w: np.sum(ad.vmap(lambda x: loss(w, x))(X) * np.arange(4.0)))(W)
    want = np.tensordot(np.arange(4.0), loop(ad.grad(loss), W, X, axes=(None, 0)), 1)
    np.testing.assert_allclose(found, want, rtol=1e-13)


def test_a_graph_of_a_batch_is_one_of_whole_arrays():
    graph = ad.trace(lambda w, x: ad.vmap(loss, (None, 0))(w, x))(W, X)
    assert [node.op.name for node in graph.nodes] == ["input", "input", "matmul", "tanh", "power", "sum"]
    assert [node.shape for node in graph.nodes][2:] == [(4, 2), (4, 2), (4, 2), (4,)]


def test_users_own_operations_are_taken_one_example_after_the_other():
    shapes = []

    @ad.primitive
    def clipped(x):
        shapes.append(x.shape)
        return np.array([min(max(float(v), -1.0), 1.0) for v in x])

    clipped.defvjp(lambda d, y, x: d * (np.abs(x) < 1))
    np.testing.assert_array_equal(ad.vmap(clipped)(X), np.clip(X, -1, 1))
    assert shapes == [(3,)] * 4
    check(ad.grad(lambda x: np.sum(clipped(x) ** 2)), X)
    np.testing.assert_array_equal(ad.jacobian(clipped, mode="reverse")(X[0]), np.diag(np.abs(X[0]) < 1).astype(float))


# -- random numbers ----------------------------------------------------------------------------------------------------

GENERATOR = np.random.default_rng(0)


def noise(shape):
    return np.random.standard_normal(shape)  # noqa: NPY002


@pytest.mark.parametrize("f", [
    lambda x: x * (np.random.random(2) < 0.5),  # noqa: NPY002
    lambda x: x + GENERATOR.normal(size=2),
    lambda x: x + noise(2),
    lambda x: (lambda y: y * GENERATOR.random())(x),
], ids=["np.random", "a generator", "a helper", "inside"])  # fmt: skip
def test_random_numbers_that_are_the_same_for_all_examples_are_told(f):
    for run in (ad.vmap(f), ad.vmap(ad.elementwise_grad(f)), ad.vmap(functools.partial(f))):
        with pytest.warns(BatchWarning, match="draws random numbers\n.*where.*\n.*why.*the same for all examples"):
            run(np.ones((3, 2)))


def test_a_function_that_may_draw_is_looked_at_in_every_call():
    def dropped(x, training):
        return x * GENERATOR.random(2) if training else x

    for _ in range(2):
        ad.vmap(dropped, in_axes=(0, None))(np.ones((3, 2)), False)  # no warning
    with pytest.warns(BatchWarning, match="dropped draws random numbers"):
        ad.vmap(dropped, in_axes=(0, None))(np.ones((3, 2)), True)


def test_a_setting_by_keyword_is_told_how_to_be_bound():
    def f(x, training=True):
        return x * 2 if training else x

    with pytest.raises(BatchError, match=r"training is a bool(.|\n)*functools\.partial\(f, training=…\)"):
        ad.vmap(f)(X, training=False)
    np.testing.assert_array_equal(ad.vmap(functools.partial(f, training=False))(X), X)
