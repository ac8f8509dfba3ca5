"""check_grads and check_op: what they accept, what they find, and how they say it."""

import numpy as np
import pytest

import autodiff as ad
from autodiff.errors import CheckError, DtypeError, SettingError
from autodiff.graph import OPERATIONS
from autodiff.testing import at, check_grads, check_op
from autodiff.testing.differences import derivative
from autodiff.testing.laws import LAWS


def cube(wrong=None, forward=True):
    """A primitive x³ with a second argument that scales it; `wrong` multiplies one rule."""
    factors = {"vjp": 1.0, "jvp": 1.0, **(wrong or {})}

    @ad.primitive
    def cubed(x, s):
        return s * x**3

    cubed.defvjp(lambda d, y, x, s: d * 3 * s * x**2 * factors["vjp"], lambda d, y, x, s: d * x**3)
    if forward:
        cubed.defjvp(lambda t, y, x, s: t * 3 * s * x**2 * factors["jvp"], lambda t, y, x, s: t * x**3)
    return cubed


X = np.array([0.5, -1.5, 2.0])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble, np.complex64, np.complex128])
def test_every_precision(dtype):
    x = X.astype(dtype)
    assert check_grads(lambda x: np.sin(x) * x, [x]) > 0


def test_containers_constants_and_several_results():
    def f(params, flags, scale, *, extra=2.0):
        hidden = np.tanh(params["layers"][0] @ params["x"]) * scale
        return {"y": hidden if flags["use"] else hidden * 2, "n": (np.sum(hidden) * extra, 3)}

    args = [{"layers": [np.ones((2, 3)) * 0.1], "x": X}, {"use": True}, 1.5]
    one = check_grads(f, args, order=1)
    assert one == 3 * 3  # three leaves; forward, reverse, and the two against one another
    assert check_grads(f, args) == 3 * one
    assert check_grads(f, args, order=1, modes=("reverse",)) == 3
    assert check_grads(f, args, order=1, modes=("forward",)) == 3


def test_third_order():
    assert check_grads(lambda x: np.sum(np.exp(x) * np.sin(x)), [X], order=3) == 3 * (1 + 2 + 4)


def test_empty_and_zero_dimensional_arguments():
    assert check_grads(lambda a, b: np.sum(a) * b, [np.zeros((0, 3)), np.float64(2.0)]) > 0


def test_functions_that_are_not_analytic():
    def f(z):
        return np.sum(np.real(z * np.conj(z)))

    assert derivative(lambda z: (f(z),), [X + 0.5j], [X + 1j]).method.startswith("differences")
    if "conjugate" in OPERATIONS:
        assert check_grads(f, [X + 1j * X[::-1]]) > 0


@pytest.mark.parametrize(
    ("wrong", "mode", "order"),
    [({"vjp": 1.01}, "reverse", 1), ({"jvp": 1.01}, "forward", 1), ({"vjp": -1.0}, "reverse", 1)],
)
def test_the_error_names_argument_index_numbers_mode_and_order(wrong, mode, order):
    with pytest.raises(CheckError) as caught:
        check_grads(cube(wrong), [X, np.full(3, 2.0)])
    text = str(caught.value)
    assert "argument 0 (x) of cubed" in text
    assert "index [2]" in text  # where 3·s·x² is largest
    assert f"order {order}, {mode} mode" in text
    assert "got:" in text
    assert "wanted:" in text


def test_a_leaf_inside_a_container_is_named():
    bad = cube({"vjp": 1.5})

    def f(p):
        return np.sum(p["w"][0]) + bad(p["w"][1], 1.0)

    with pytest.raises(CheckError, match=r"argument 0 \(p\['w'\]\[1\]\) of f, index \[1, 0\]"):
        check_grads(f, [{"w": [np.ones(2), np.array([[1.0, 1.0], [3.0, 1.0]])]}])


def test_a_mistake_in_the_second_order_alone():
    @ad.primitive
    def slope(x):
        return 3 * x**2

    slope.defvjp(lambda d, y, x: d * 5 * x)  # 6x is right

    @ad.primitive
    def cubed(x):
        return x**3

    cubed.defvjp(lambda d, y, x: d * slope(x))
    assert check_grads(cubed, [X], order=1) > 0
    with pytest.raises(CheckError, match=r"order 2, forward over (reverse|forward) mode"):
        check_grads(cubed, [X])


def test_the_two_modes_against_each_other_are_sharper():
    with pytest.raises(CheckError, match="forward and reverse mode differ"):
        check_grads(cube({"vjp": 1 + 1e-8}), [X, np.ones(3)])


def test_a_tolerance_of_the_users_own():
    def rough(x):
        return np.sin(x)

    assert check_grads(rough, [X], rtol=1e-3, atol=1e-3) > 0
    with pytest.raises(CheckError):
        check_grads(cube({"vjp": 1.01, "jvp": 1.01}), [X, np.ones(3)], rtol=1e-3)
    assert check_grads(cube({"vjp": 1.01, "jvp": 1.01}, forward=True), [X, np.ones(3)], rtol=0.1, order=1) > 0


def test_a_kink_at_the_point_is_not_passed_over():
    with pytest.raises(CheckError, match=r"cannot be checked here|mode is wrong"):
        check_grads(lambda x: np.where(x > 0, x, 3 * x), [np.array([1.0, 1e-9])], order=1)


def test_nothing_to_differentiate():
    with pytest.raises(DtypeError, match="no argument is real or complex"):
        check_grads(lambda n: n * 2, [3])


@pytest.mark.parametrize("settings", [{"order": 0}, {"modes": ()}, {"modes": ("sideways",)}])
def test_settings_that_mean_nothing(settings):
    with pytest.raises(SettingError, match=r"order=.*modes="):
        check_grads(np.sin, [X], **settings)


def test_an_operation_of_the_package():
    report = check_op(OPERATIONS["multiply"])
    assert set(report.laws) == set(LAWS)
    assert report.total == sum(report.laws.values())
    for k in (0, 1):
        for order in (1, 2):
            for mode in ("forward", "reverse"):
                assert report.ledger[k, order, mode] > 0
    assert "multiply" in str(report)
    assert "adjoint" in str(report)


def test_a_flat_operation():
    assert check_op(OPERATIONS["floor"]).total > 0


def test_a_primitive_with_settings_and_a_draw():
    @ad.primitive
    def scaled_log(x, *, base):
        return np.log(x) / np.log(base)

    scaled_log.defvjp(lambda d, y, x, *, base: d / x / np.log(base))
    positive = [at((3, 2), base=2.0, draw=lambda rng, shape: rng.uniform(0.5, 2.0, shape))]
    assert check_op(scaled_log, positive).ledger[0, 2, "forward"] > 0

    scaled_log.defvjp(lambda d, y, x, *, base: d / x)  # the setting is accepted and ignored
    with pytest.raises(CheckError, match=r"scaled_log, example 0: shapes \(\(3, 2\),\), base=2.0"):
        check_op(scaled_log, positive)


def test_a_primitive_with_a_wrong_rule():
    with pytest.raises(CheckError, match=r"law '(adjoint|oracle)' is broken") as caught:
        check_op(cube({"vjp": 1 + 1e-9}), [at((3,), (3,))])
    assert "argument 0" in str(caught.value) or "cubed" in str(caught.value)


def test_a_rule_of_the_wrong_shape():
    @ad.primitive
    def total(x):
        return np.sum(x)

    total.defvjp(lambda d, y, x: d)
    with pytest.raises(CheckError, match="RuleError"):
        check_op(total, [at((3,))])


def test_an_operation_without_examples():
    with pytest.raises(CheckError, match="has no examples to check"):
        check_op(cube())


def test_check_op_leaves_the_operation_as_it_was():
    op = OPERATIONS["matmul"]
    before = (op.vjps, op.jvps, op.joint, op.guard)
    check_op(op)
    assert (op.vjps, op.jvps, op.joint, op.guard) == before


def test_nothing_to_check_is_no_agreement():
    for f in (lambda x: None, lambda x: "x"):
        with pytest.raises(CheckError, match="nothing to check"):
            check_grads(f, (np.ones(2),))
    with pytest.raises(CheckError, match="nothing to check"):
        check_grads(np.sum, (np.ones(0),))


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
def test_a_tolerance_is_positive_and_finite(bad):
    with pytest.raises(ValueError, match="rtol"):
        check_grads(np.sum, (np.ones(2),), rtol=bad)


def test_a_function_that_writes_into_its_argument_is_checked_on_copies():
    def f(x):
        x += 1.0
        return np.sum(x * x)

    x = np.ones(2)
    assert check_grads(f, (x,)) > 0
    np.testing.assert_array_equal(x, 1.0)
