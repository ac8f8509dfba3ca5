"""Bad input: each mistake has its own class, and a message that says what, where, why, and what to type instead."""

import decimal
import fractions

import numpy as np
import pytest

import autodiff as ad
from autodiff import errors
from autodiff.errors import (
    AutodiffError,
    ClosedTraceError,
    DtypeError,
    KeywordError,
    LostHistoryError,
    NoRuleError,
    NotScalarError,
    RuleError,
    SeedError,
    UnknownNameError,
    ViewWriteError,
)

X = np.array([0.5, -1.25, 2.0])


def fails(error, call, *words, line=True):
    """The error that `call` raises: of this class, with four parts, this file's line, and all of these words."""
    with pytest.raises(error) as caught:
        call()
    text = str(caught.value)
    parts = text.split("\n  ")
    heads = [part.split(":")[0] for part in parts[1:]]
    assert heads == ["where", "why", "instead"], text
    if line:
        assert f"{__file__}:" in parts[1]
    for word in words:
        assert word in text, f"{word!r} is not in: {text}"
    return caught.value


# -- every class ---------------------------------------------------------------------------------------------------


CLASSES = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, AutodiffError)]


@pytest.mark.parametrize("error", CLASSES, ids=lambda c: c.__name__)
def test_every_error_is_ours_and_documented(error):
    assert issubclass(error, AutodiffError)
    assert error.__doc__
    assert error.__name__.endswith("Error")


@pytest.mark.parametrize(("error", "builtin"), [
    (LostHistoryError, TypeError), (NotScalarError, TypeError), (DtypeError, TypeError), (SeedError, ValueError),
    (NoRuleError, NotImplementedError), (KeywordError, TypeError), (RuleError, TypeError), (ViewWriteError, TypeError),
    (ClosedTraceError, RuntimeError), (UnknownNameError, KeyError), (errors.GraphError, ValueError),
    (errors.LoadError, ValueError), (errors.CheckError, AssertionError),
])  # fmt: skip
def test_every_error_is_also_the_builtin_that_people_catch(error, builtin):
    assert issubclass(error, builtin)


def test_the_line_is_the_users_own_innermost_one():
    def inner(x):
        return float(x)  # here

    error = fails(LostHistoryError, lambda: ad.grad(lambda x: inner(x) * 2)(3.0))
    here = inner.__code__.co_firstlineno + 1
    assert f"{__file__}:{here}\n" in str(error)


# -- grad of what is not a scalar ----------------------------------------------------------------------------------


def test_grad_of_an_array_names_the_shape_and_the_three_ways_on():
    def doubled(x):
        return np.stack([x, x]) * 2

    for transform in (ad.grad, ad.value_and_grad):
        ways = ("np.sum", "jacobian", "vjp", "seed")
        fails(NotScalarError, lambda t=transform: t(doubled)(X), "doubled", "(2, 3)", *ways)
    fails(NotScalarError, lambda: ad.hessian(doubled)(X), "(2, 3)")
    fails(NotScalarError, lambda: ad.hvp(doubled, (X,), (X,)), "(2, 3)")


@pytest.mark.parametrize("shape", [(1,), (1, 1), (0,)])
def test_one_element_is_not_a_scalar_either(shape):
    fails(NotScalarError, lambda: ad.grad(lambda x: np.reshape(x, shape))(np.ones(shape)), str(shape))


def test_grad_of_containers_text_nothing_and_complex_numbers():
    fails(NotScalarError, lambda: ad.grad(lambda x: (np.sum(x), np.sum(x)))(X), "2 results", "has_aux")
    fails(NotScalarError, lambda: ad.grad(lambda x: {})(X), "0 results")
    fails(NotScalarError, lambda: ad.grad(lambda x: "text")(X), "str")
    fails(NotScalarError, lambda: ad.grad(lambda x: None)(X))
    fails(NotScalarError, lambda: ad.grad(lambda x: np.sum(x) * 1j)(X), "complex", "np.real")
    fails(NotScalarError, lambda: ad.grad(lambda x: 1j)(X), "complex")


def test_backward_of_an_array_without_a_seed():
    graph = ad.trace(lambda x: x * 2)(X)
    fails(NotScalarError, graph.backward, "(3,)", "sum", "seed", "jacobian")
    fails(NotScalarError, ad.trace(lambda x: (x, x))(X).backward, "2 outputs", "seed")


# -- arguments without a derivative --------------------------------------------------------------------------------


def square(weight, x=0.0):
    return weight * weight


@pytest.mark.parametrize(("value", "words"), [
    (3, ["int 3", "3.0"]), (-7, ["-7.0"]), (True, ["bool True", "1.0"]), (np.int64(4), ["int64 4", "4.0"]),
    (np.uint8(4), ["uint8", "4.0"]), (np.bool_(True), ["bool", "1.0"]), (np.arange(3), ["int64", "astype(float)"]),
    (np.array([True]), ["bool", "astype(float)"]), (np.array(5), ["int64 5", "5.0"]),
    (np.array([1.0, 2.0], object), ["object"]), (np.array(["a"]), ["dtype <U1"]), (np.array([b"a"]), ["dtype |S1"]),
    (np.array(["2020-01-01"], "datetime64[D]"), ["datetime64"]), (np.array([1], "timedelta64[s]"), ["timedelta64"]),
    (np.zeros(2, [("a", float)]), ["dtype"]), (np.ma.masked_array([1.0, 2.0], [0, 1]), ["masked", "filled"]),
    (np.ma.masked_array([1, 2], [0, 1]), ["masked", "filled"]),
    ("text", ["str"]), (b"text", ["bytes"]), (object(), ["object"]), ({1.0}, ["set"]), (range(3), ["range"]),
    (fractions.Fraction(1, 2), ["Fraction"]), (decimal.Decimal(1), ["Decimal"]), (1 << 80, ["int"]),
    (memoryview(b"abc"), ["memoryview"]), (lambda: 0, ["function"]),
], ids=lambda v: None if isinstance(v, list) else type(v).__name__)  # fmt: skip
def test_arguments_without_a_derivative_are_refused_by_name(value, words):
    for transform in (ad.grad, ad.value_and_grad, ad.jacobian, ad.hessian, ad.elementwise_grad):
        fails(DtypeError, lambda t=transform: t(square)(value), "argument 0 (weight) of square", *words)
    fails(DtypeError, lambda: ad.vjp(square, value), "argument 0 (weight)", *words)
    fails(DtypeError, lambda: ad.jvp(square, (value,), (1.0,)), "argument 0 (weight)", *words)


def test_the_place_in_a_container_is_named():
    fails(DtypeError, lambda: ad.grad(lambda p: 0.0)({"layers": [{"w": X}, {"w": 3}]}), "p['layers'][1]['w']", "3.0")
    fails(DtypeError, lambda: ad.grad(square, argnums=1)(1.0, 2), "argument 1 (x) of square")
    fails(DtypeError, lambda: ad.grad(lambda *xs: xs[0], argnums=(0, 1))(1.0, 2), "xs[1]")


def test_arguments_that_are_not_differentiated_may_be_anything():
    assert ad.grad(lambda x, n, mode, table: x * n * table["a"])(2.0, 3, "text", {"a": 5}) == 15.0
    graph = ad.trace(lambda x, n: x * n)(2.0, 3)
    assert len(graph.arguments) == 1


@pytest.mark.parametrize(("other", "words"), [
    (np.ma.masked_array([1.0, 2.0, 3.0], [0, 1, 0]), ["masked"]), (np.array([1.0, 2.0, 3.0], object), ["object"]),
    (np.array(["a", "b", "c"]), ["<U1"]), ("text", ["<U4"]), (None, []), (object(), []),
    (np.array(["2020-01-01"] * 3, "datetime64[D]"), ["datetime64"]),
], ids=lambda v: type(v).__name__)  # fmt: skip
def test_operands_without_numbers_are_refused_by_the_operation(other, words):
    for f in (lambda x: np.multiply(x, other), lambda x: np.multiply(other, x), lambda x: x * other):
        with pytest.raises(TypeError) as caught:
            ad.grad(lambda x, f=f: np.sum(f(x)))(X)
        for word in words:
            assert word in str(caught.value)
        if words:
            assert isinstance(caught.value, DtypeError)
            assert "multiply: argument" in str(caught.value)


# -- seeds ---------------------------------------------------------------------------------------------------------


def test_seeds_of_the_wrong_shape_or_kind():
    def doubled(x):
        return x * 2

    _, pullback = ad.vjp(doubled, X)
    fails(SeedError, lambda: pullback(np.ones((3, 1))), "doubled", "(3, 1)", "(3,)", "broadcast_to")
    fails(SeedError, lambda: pullback(1.0), "()", "(3,)")
    fails(SeedError, lambda: pullback(np.ones(3) * 1j), "complex128", "float64", "astype")
    fails(SeedError, lambda: pullback(np.array(["a", "b", "c"])), "numbers")
    _, pullback = ad.vjp(doubled, X.astype(np.float32))
    fails(SeedError, lambda: pullback(np.ones(3)), "float64", "float32", "astype")
    _, pullback = ad.vjp(lambda x: {"a": x, "b": [x]}, X)
    fails(SeedError, lambda: pullback({"a": X}), "containers")
    fails(SeedError, lambda: pullback(X), "containers")
    fails(SeedError, lambda: ad.jvp(doubled, (X,), (np.ones(2),)), "argument 0 (x)", "(2,)", "(3,)")
    fails(SeedError, lambda: ad.jvp(doubled, (X,), (X * 1j,)), "complex128", "float64")


def test_seeds_of_backward():
    graph = ad.trace(lambda x: x * 2)(X)
    fails(SeedError, lambda: graph.backward(np.ones(2)), "[2]", "[3]")
    fails(SeedError, lambda: graph.backward(np.ones(3) * 1j), "complex128")
    fails(SeedError, lambda: graph.backward(np.array(["a"] * 3)))
    np.testing.assert_array_equal(graph.backward(np.ones(3))["x"], [2, 2, 2])


# -- after the function has returned -------------------------------------------------------------------------------


def test_a_tensor_that_escaped():
    kept = []
    ad.grad(lambda x: kept.append(x * 2) or x)(3.0)
    fails(ClosedTraceError, lambda: kept[0] * 2, "multiply", "already returned", "has_aux", "stop_gradient")
    fails(ClosedTraceError, lambda: np.sin(kept[0]))
    fails(ClosedTraceError, lambda: ad.grad(lambda y: y * kept[0])(1.0))


def test_a_tensor_that_escaped_through_a_generator():
    def lazy(x):
        yield x * 2

    kept = []
    ad.grad(lambda x: kept.append(lazy(x)) or x)(3.0)
    fails(ClosedTraceError, lambda: next(kept[0]))


# -- functions without a rule --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("f", "words"), [
    (lambda x: np.packbits(x), ["np.packbits", "@ad.primitive", "stop_gradient"]),
    (lambda x: np.logaddexp.at(np.zeros(2), [0, 1], x), ["np.logaddexp.at"]),
])  # fmt: skip
def test_a_function_without_a_rule_raises_at_the_call_and_names_itself(f, words):
    reached = []

    def g(x):
        y = f(x)
        reached.append(y)
        return np.sum(x)

    fails(NoRuleError, lambda: ad.grad(g)(X), *words)
    assert not reached


def test_the_same_function_on_plain_arrays_is_numpys():
    np.testing.assert_array_equal(ad.grad(lambda x: np.sum(x * np.histogram(10 * X, 3)[0]))(X), [1, 1, 1])


def test_a_misspelt_name_is_answered_with_the_nearest():
    graph = ad.trace(lambda x: ad.name(x * 2.0, "hidden") * 3.0)(2.0)
    fails(UnknownNameError, lambda: graph.node("hiden"), "'hiden'", "'hidden'")
    fails(UnknownNameError, lambda: graph.backward()["hiden"], "'hidden'")
    fails(UnknownNameError, lambda: graph.node(99), "99", "3 nodes")
    fails(UnknownNameError, lambda: graph.node(-4), "-4")


# -- settings ------------------------------------------------------------------------------------------------------


def test_a_setting_that_no_rule_covers():
    fails(KeywordError, lambda: ad.grad(lambda x: np.sum(np.multiply(x, 2, where=X > 0)))(X), "multiply", "where=…")
    fails(KeywordError, lambda: ad.grad(lambda x: np.sum(x, out=np.zeros(())))(X), "sum", "'out'")


# -- user's rules --------------------------------------------------------------------------------------------------


def test_a_rule_that_returns_the_wrong_thing():
    @ad.primitive
    def stretched(x):
        return x * 2

    stretched.defvjp(lambda d, y, x: np.ones(5))
    fails(RuleError, lambda: ad.grad(lambda x: np.sum(stretched(x)))(X), "stretched", "argument 0", "(5,)")
    stretched.defvjp(lambda d, y, x: np.ones(3, int))
    fails(RuleError, lambda: ad.grad(lambda x: np.sum(stretched(x)))(X), "stretched", "argument 0", "int64")
    rule = lambda d, y, x: d
    fails(RuleError, lambda: stretched.defvjp(rule, rule), "stretched.defvjp", "2 rules", "1 array")


# -- the checkpoint's closure, and views ---------------------------------------------------------------------------


def test_checkpoint_names_the_function():
    def block(y):
        return y * outer[0]

    outer = []

    def f(x):
        outer.append(x)
        return ad.checkpoint(block)(x)

    fails(LostHistoryError, lambda: ad.grad(f)(3.0), "checkpoint", "block", "argument")


def test_a_write_that_would_show_elsewhere():
    def f(x):
        y = x * 1
        view = ad.checkpoint(lambda t: t[1:])(y)
        y[1] = 0.0
        return np.sum(view)

    fails(ViewWriteError, lambda: ad.grad(f)(np.ones((2, 2))), "copy first", "x.at[i].set(v)")


# -- warnings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: ad.grad(lambda a: np.linalg.eigh(a)[1][0, 0])(np.eye(2)), "eigh"),
        (lambda: ad.grad(lambda a: np.linalg.svd(a)[0][0, 0])(np.eye(2)), "svd"),
        (lambda: ad.grad(lambda a: np.sum(np.linalg.pinv(a)))(np.ones((2, 2))), "pinv"),
        (lambda: ad.grad(lambda a: np.real(np.linalg.eigvals(a)[0]))(np.array([[1.0, 1.0], [0.0, 1.0]])), "eigvals"),
    ],
)
def test_a_derivative_that_does_not_exist_is_warned_of_in_four_parts_at_the_users_line(call, word):
    with pytest.warns(errors.DegenerateWarning, match=word) as caught:
        found = call()
    assert np.isnan(found).any()
    text = str(caught[0].message)
    assert [part.split(":")[0] for part in text.split("\n  ")[1:]] == ["where", "why", "instead"]
    assert f"{__file__}:" in text
    assert caught[0].filename == __file__


def test_the_line_is_the_users_inside_scipy_too():
    stats = pytest.importorskip("autodiff.scipy.stats")
    with pytest.raises(ad.errors.AutodiffError) as said:
        ad.grad(stats.truncnorm.cdf)(0.0, -1.0, 2.0)
    assert f"where:   {__file__}" in str(said.value)


@pytest.mark.parametrize(("name", "near"), [("struve", []), ("stdtrit", ["stdtr"])])
def test_the_nearest_with_a_rule_is_a_cousin_or_nothing(name, near):
    special = pytest.importorskip("scipy.special")
    with pytest.raises(ad.errors.NoRuleError) as said:
        ad.grad(lambda x: getattr(special, name)(0.5, x))(0.3)
    assert ("the nearest with a rule: " + ", ".join(near) + ";" in str(said.value)) == bool(near)
    assert ("nearest" in str(said.value)) == bool(near)
