"""Losses at their extremes, with labels that are wrong, ignored or soft; corners as the house decides them."""

import mpmath
import numpy as np
import pytest

import autodiff as ad
from autodiff import nn
from autodiff.errors import DtypeError, LabelError, SettingError, ShapeError
from autodiff.testing import check_grads

LABELS = np.array([0, 3, 1, 1, 2])
SPREAD = np.array([0.1, 0.7, 0.0, 0.2])

BINARY = "binary_cross_entropy_with_logits"
PAIRED = {
    "mse": (nn.mse, lambda p, t: (p - t) ** 2),
    "mae": (nn.mae, lambda p, t: np.abs(p - t)),
    "huber": (nn.huber, lambda p, t: np.where(np.abs(p - t) < 1, (p - t) ** 2 / 2, np.abs(p - t) - 0.5)),
    BINARY: (nn.binary_cross_entropy_with_logits,
             lambda x, t: -t * nn.log_sigmoid(x) - (1 - t) * nn.log_sigmoid(-x)),
}  # fmt: skip


@pytest.mark.parametrize("name", PAIRED)
def test_losses_of_pairs_are_their_definitions(rng, name):
    loss, definition = PAIRED[name]
    x, t = rng.standard_normal((3, 4)), rng.random((3, 4))
    want = definition(x, t)
    for reduction, value in (("none", want), ("sum", want.sum()), ("mean", want.mean())):
        np.testing.assert_allclose(loss(x, t, reduction=reduction), value, rtol=1e-13)
        check_grads(lambda x, t, r=reduction: loss(x, t, reduction=r), (x, t), order=2)
    np.testing.assert_allclose(loss(x.tolist(), t.tolist()), want.mean(), rtol=1e-13)
    assert loss(x.astype(np.float32), t.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize("loss", [
    *(loss for loss, _ in PAIRED.values()), nn.hinge, nn.cross_entropy, nn.nll, nn.kl_divergence,
])  # fmt: skip
def test_shapes_and_reductions_are_checked(loss):
    scores = np.zeros((4, 1))
    with pytest.raises(ShapeError):  # against each other these would stretch to (4, 4)
        loss(scores, np.ones((1, 4), int) if loss in (nn.hinge, nn.cross_entropy, nn.nll) else np.ones((1, 4)))
    fitting = np.ones((4, 1), int) if loss is nn.hinge else np.zeros(4, int)
    given = fitting if loss in (nn.hinge, nn.cross_entropy, nn.nll) else np.ones((4, 1))
    with pytest.raises(SettingError, match="average"):
        loss(scores, given, reduction="average")


def test_corners():
    at = lambda f, x: float(ad.grad(f)(np.float64(x)))
    assert [at(lambda x: nn.mae(x, 1.0), x) for x in (0.0, 1.0, 2.0)] == [-1.0, 0.0, 1.0]
    assert [at(lambda x: nn.huber(x, 0.0, 2.0), x) for x in (-5.0, -2.0, 0.0, 1.0, 2.0, 3.0)] == [-2, -2, 0, 1, 2, 2]
    assert [at(lambda x: nn.hinge(x, 1), x) for x in (0.0, 1.0, 2.0)] == [-1.0, -0.5, 0.0]
    assert [at(lambda x: nn.hinge(x, -1), x) for x in (0.0, -1.0, -2.0)] == [1.0, 0.5, 0.0]
    second = ad.grad(ad.grad(lambda x: nn.huber(x, 0.0, 2.0)))
    assert [float(second(np.float64(x))) for x in (1.0, 2.0, 3.0)] == [1.0, 0.5, 0.0]


def test_huber_of_large_errors_does_not_overflow():
    x = np.array([1e300, -np.inf, 1e-300, 1e4])
    np.testing.assert_allclose(nn.huber(x, np.zeros(4), reduction="none"), [1e300, np.inf, 0.0, 1e4 - 0.5])
    np.testing.assert_array_equal(ad.grad(lambda x: nn.huber(x, np.zeros(4), reduction="sum"))(x), [1, -1, 1e-300, 1])
    for delta in (0.0, -1.0, np.nan):
        with pytest.raises(SettingError, match="delta"):
            nn.huber(x, x, delta)


def true_cross_entropy(x, label):
    """The loss and its gradient in many digits."""
    with mpmath.workdps(60):
        e = [mpmath.exp(mpmath.mpf(float(v))) for v in x]
        total = mpmath.fsum(e)
        rest = mpmath.fsum(v for k, v in enumerate(e) if k != label)
        loss = mpmath.log1p(rest / e[label])
        return float(loss), [float(-rest / total if k == label else v / total) for k, v in enumerate(e)]


@pytest.mark.parametrize("x", [
    [0.3, -1.2, 2.0], [40.0, 0.0, -3.0], [0.0, 200.0, 0.0], [-700.0, 0.0, 5.0], [1e4, -1e4, 0.0], [1e4, 1e4, 1e4],
    [-1e4, -1e4 + 1, -1e4 - 2], [1e-9, 0.0, -1e-9],
])  # fmt: skip
@pytest.mark.parametrize("label", [0, 1, 2])
def test_cross_entropy_keeps_its_digits(x, label):
    """Also the small ones of a label that is nearly certain, which 1 − p and x − log Σ exp(x) lose."""
    x = np.array(x)
    loss, slope = true_cross_entropy(x, label)
    y, pullback = ad.vjp(lambda x: nn.cross_entropy(x, label), x)
    np.testing.assert_allclose(y, loss, rtol=1e-13)
    np.testing.assert_allclose(pullback(1.0)[0], slope, rtol=1e-13, atol=1e-320)
    narrow, pullback = ad.vjp(lambda x: nn.cross_entropy(x, label), x.astype(np.float32))
    x = x.astype(np.float32).astype(float)
    loss, slope = true_cross_entropy(x, label)
    assert narrow.dtype == np.float32
    np.testing.assert_allclose(narrow, loss, rtol=1e-6, atol=1e-44)
    np.testing.assert_allclose(pullback(np.float32(1))[0], slope, rtol=1e-5, atol=1e-44)


def test_impossible_classes():
    x = np.array([[-np.inf, 0.0, 1.0], [0.0, -np.inf, -np.inf], [-np.inf, 0.0, 0.0]])
    labels = np.array([1, 0, 0])
    y, pullback = ad.vjp(lambda x: nn.cross_entropy(x, labels, reduction="none"), x)
    np.testing.assert_allclose(y, [np.log1p(np.e), 0.0, np.inf])
    d = pullback(np.ones(3))[0]
    np.testing.assert_allclose(d, [[0, -nn.sigmoid(1.0), nn.sigmoid(1.0)], [0, 0, 0], [-1, 0.5, 0.5]], rtol=1e-15)
    soft = nn.one_hot(labels, 3)
    np.testing.assert_allclose(nn.cross_entropy(x, soft, reduction="none"), y)
    assert np.isfinite(ad.grad(lambda x: nn.cross_entropy(x[:2], soft[:2]))(x)).all()


def test_a_row_of_nothing_but_minus_infinity_is_nan_and_touches_no_other():
    x = np.array([[-np.inf, -np.inf], [1.0, 2.0]])
    y, pullback = ad.vjp(lambda x: nn.cross_entropy(x, [0, 1], reduction="none"), x)
    assert np.isnan(y).tolist() == [True, False]
    np.testing.assert_array_equal(pullback(np.array([0.0, 1.0]))[0][0], 0)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("smoothing", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_integer_labels_are_one_hot_rows(rng, axis, smoothing, reduction):
    x = rng.standard_normal((5, 4, 3))
    labels = rng.integers(0, x.shape[axis], np.delete(x.shape, axis))
    rows = np.moveaxis(nn.one_hot(labels, x.shape[axis]), -1, axis)
    hard, soft = (lambda x, t=t: nn.cross_entropy(x, t, axis, label_smoothing=smoothing, reduction=reduction)
                  for t in (labels, rows))  # fmt: skip
    np.testing.assert_allclose(hard(x), soft(x), rtol=1e-13)
    np.testing.assert_allclose(ad.grad(lambda x: np.sum(hard(x) ** 2))(x), ad.grad(lambda x: np.sum(soft(x) ** 2))(x),
                               rtol=1e-11, atol=1e-13)  # fmt: skip
    check_grads(hard, (x,), order=2)
    check_grads(soft, (x,), order=2)


def test_soft_labels_have_derivatives(rng):
    check_grads(lambda x, t: nn.cross_entropy(x, t, label_smoothing=0.1), (rng.standard_normal((3, 4)),
                np.tile(SPREAD, (3, 1))), order=2)  # fmt: skip


@pytest.mark.parametrize("loss", [nn.cross_entropy, nn.nll])
def test_ignored_rows_cost_nothing(rng, loss):
    x = nn.log_softmax(rng.standard_normal((5, 4)))
    x[1] = np.nan  # garbage in a row that no one asks for
    labels = np.array([0, -100, 2, -100, 3])
    kept = labels >= 0
    f = lambda x, r: loss(x, labels, ignore_index=-100, reduction=r)
    assert f(x, "mean") == pytest.approx(loss(x[kept], labels[kept]), rel=1e-14)
    assert f(x, "sum") == pytest.approx(loss(x[kept], labels[kept], reduction="sum"), rel=1e-14)
    np.testing.assert_array_equal(f(x, "none")[~kept], 0)
    for reduction in ("mean", "sum"):
        d = ad.grad(f)(x, reduction)
        np.testing.assert_array_equal(d[~kept], 0)
        np.testing.assert_allclose(d[kept], ad.grad(lambda x, r=reduction: loss(x, labels[kept], reduction=r))(x[kept]))
    none = np.full(5, -100)
    assert loss(x, none, ignore_index=-100) == 0
    np.testing.assert_array_equal(ad.grad(lambda x: loss(x, none, ignore_index=-100))(x), 0)


def test_smoothing_leaves_ignored_rows_out(rng):
    x, labels = rng.standard_normal((3, 4)), np.array([1, 9, 2])
    got = nn.cross_entropy(x, labels, ignore_index=9, label_smoothing=0.2)
    assert got == pytest.approx(nn.cross_entropy(x[[0, 2]], labels[[0, 2]], label_smoothing=0.2), rel=1e-14)


@pytest.mark.parametrize("loss", [nn.cross_entropy, nn.nll])
def test_labels_that_name_no_class(loss):
    x = np.zeros((2, 3))
    for labels, worst in (([0, 3], 3), ([-1, 0], -1)):
        for call in (loss, ad.grad(loss)):
            with pytest.raises(LabelError, match=f"label {worst} among 3"):
                call(x, np.array(labels))
    with pytest.raises(DtypeError):
        loss(x, np.array([True, False]))
    with pytest.raises(ShapeError, match=r"astype\(float\)"):
        loss(x, np.eye(2, 3, dtype=int))


def test_settings_of_cross_entropy():
    x = np.zeros((2, 3))
    for smoothing in (-0.1, 1.1, np.nan):
        with pytest.raises(SettingError, match="label_smoothing"):
            nn.cross_entropy(x, [0, 1], label_smoothing=smoothing)
    with pytest.raises(SettingError, match="soft"):
        nn.cross_entropy(x, x, ignore_index=0)
    with pytest.raises(DtypeError, match="cross_entropy"):
        nn.cross_entropy(x + 1j, [0, 1])


def test_labels_are_read_when_the_call_is_recorded(rng):
    x, labels = rng.standard_normal((5, 4)), LABELS.copy()
    pullback = ad.vjp(lambda x: nn.cross_entropy(x, labels), x)[1]
    want = pullback(1.0)[0].copy()
    labels[:] = 0
    np.testing.assert_array_equal(pullback(1.0)[0], want)
    d = ad.grad(lambda x: nn.cross_entropy(x, np.argmax(x, axis=1)))(x)
    np.testing.assert_allclose(d, (nn.softmax(x) - nn.one_hot(np.argmax(x, 1), 4)) / 5, rtol=1e-12)
    flow = ad.flow(lambda x: nn.cross_entropy(x, np.argmax(x, axis=1)))(x)
    np.testing.assert_allclose(flow.delta[flow.graph.arguments[0]], d, rtol=1e-14)


def test_nll_reads_what_log_softmax_wrote(rng):
    x = rng.standard_normal((5, 4))
    both = [ad.value_and_grad(f)(x) for f in
            (lambda x: nn.nll(nn.log_softmax(x), LABELS), lambda x: nn.cross_entropy(x, LABELS))]  # fmt: skip
    np.testing.assert_allclose(both[0][0], both[1][0], rtol=1e-14)
    np.testing.assert_allclose(both[0][1], both[1][1], rtol=1e-12, atol=1e-16)
    check_grads(lambda x: nn.nll(x, np.array([[1, 0], [2, 2]]), axis=1), (rng.standard_normal((2, 3, 2)),), order=2)


@pytest.mark.parametrize("x", [-np.inf, -1e4, -40.0, 0.0, 40.0, 1e4, np.inf])
def test_binary_loss_at_its_extremes(x):
    """A target that agrees costs what is left to the last digit, one that disagrees costs |x|."""
    x = np.float64(x)
    for t in (0.0, 1.0):
        away = x if t == 0 else -x
        y, pullback = ad.vjp(lambda x, t=t: nn.binary_cross_entropy_with_logits(x, t), x)
        np.testing.assert_allclose(y, nn.softplus(away), rtol=1e-15)
        np.testing.assert_allclose(pullback(1.0)[0], nn.sigmoid(away) * (1 if t == 0 else -1), rtol=1e-14)
    assert nn.binary_cross_entropy_with_logits(np.zeros(2), np.array([0, 1])) == pytest.approx(np.log(2))


def test_divergence(rng):
    log_q = nn.log_softmax(rng.standard_normal((3, 4)))
    p = np.tile(SPREAD, (3, 1))
    want = np.sum(np.where(p > 0, p, 1) * np.where(p > 0, np.log(np.where(p > 0, p, 1)) - log_q, 0), axis=-1)
    np.testing.assert_allclose(nn.kl_divergence(log_q, p, reduction="none"), want, rtol=1e-13)
    with np.errstate(divide="ignore"):
        log_p = np.log(p)
    np.testing.assert_allclose(nn.kl_divergence(log_q, log_p, log_targets=True, reduction="none"), want, rtol=1e-13)
    assert nn.kl_divergence(log_q, np.exp(log_q)) == pytest.approx(0, abs=1e-15)
    positive = nn.softmax(rng.standard_normal((3, 4)))
    check_grads(nn.kl_divergence, (log_q, positive), order=2)
    check_grads(lambda q, p: nn.kl_divergence(q, p, 0, log_targets=True), (log_q, np.log(positive)), order=2)


def test_divergence_from_what_is_impossible():
    """Where p is zero the term is a true zero, whatever q is; where q is zero and p is not, it is infinite."""
    with np.errstate(divide="ignore"):
        log_q = np.log(np.array([0.0, 0.5, 0.5]))
    p = np.array([0.0, 1.0, 0.0])
    value, (dq, dp) = ad.value_and_grad(nn.kl_divergence, argnums=(0, 1))(log_q, p)
    assert value == pytest.approx(np.log(2))
    np.testing.assert_array_equal(dq, [0, -1, 0])
    np.testing.assert_allclose(dp, [0, 1 + np.log(2), 0])
    assert nn.kl_divergence(log_q, np.array([0.5, 0.5, 0.0])) == np.inf


def test_hinge(rng):
    scores, labels = rng.standard_normal((3, 4)), rng.choice([-1, 1], (3, 4))
    want = np.maximum(0, 1 - labels * scores)
    np.testing.assert_allclose(nn.hinge(scores, labels), want.mean(), rtol=1e-14)
    np.testing.assert_allclose(nn.hinge(scores, labels.astype(float), "none"), want, rtol=1e-14)
    check_grads(lambda s: nn.hinge(s, labels, "none") ** 2, (scores,), order=2)
    for wrong in (0, 2, 0.5, np.nan):
        with pytest.raises(LabelError, match="hinge"):
            nn.hinge(scores, np.full((3, 4), wrong))


NUMBERS = {"mse": 40000.0, "mae": 200.0, "huber": 199.5}


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int64, bool])
@pytest.mark.parametrize("name", NUMBERS)
def test_whole_numbers_do_not_wrap(name, dtype):
    loss = getattr(nn, name)
    size, other = {np.int8: (100, -100), bool: (1, 0)}.get(dtype, (200, 0))
    want = {bool: {"mse": 1.0, "mae": 1.0, "huber": 0.5}}.get(dtype, NUMBERS)[name]
    for a, b in ((size, other), (other, size)):
        a, b = np.array([a]).astype(dtype), np.array([b]).astype(dtype)
        assert loss(a, b) == want
        assert loss(a, b).dtype == np.float64


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_whole_numbers_do_not_raise_the_precision(rng, dtype):
    x, targets = rng.standard_normal((3, 4)).astype(dtype), rng.integers(0, 2, (3, 4))
    signs = 2 * targets - 1
    for f in (lambda x: nn.mse(x, targets), lambda x: nn.mae(x, targets), lambda x: nn.huber(x, targets, np.float64(2)),
              lambda x: nn.binary_cross_entropy_with_logits(x, targets), lambda x: nn.kl_divergence(x, targets, 0),
              lambda x: nn.hinge(x, signs), lambda x: nn.hinge(x, signs.astype(float))):  # fmt: skip
        value, d = ad.value_and_grad(f)(x)
        assert value.dtype == d.dtype == dtype
        np.testing.assert_allclose(value, f(x.astype(float)), rtol=4e-3)


def test_hinge_of_small_whole_scores_does_not_wrap():
    assert nn.hinge(np.array([200], np.uint8), np.array([1])) == 0
    assert nn.hinge(np.array([3], np.uint8), np.array([-1])) == 4


def test_logits_of_whole_numbers(rng):
    drawn, labels = rng.integers(-3, 3, (5, 4)), LABELS
    soft = np.tile(SPREAD, (5, 1))
    for x in (drawn, np.abs(drawn).astype(np.uint8)):
        for given, smoothing in ((labels, 0.0), (labels, 0.1), (soft, 0.0), (soft, 0.1)):
            got = nn.cross_entropy(x, given, label_smoothing=smoothing)
            assert got.dtype == np.float64
            assert got == nn.cross_entropy(x.astype(float), given, label_smoothing=smoothing)
        assert nn.nll(x, labels) == nn.nll(x.astype(float), labels)


def test_smoothing_over_many_halves():
    x, labels = np.zeros((1, 70000), np.float16), np.array([3])
    value, d = ad.value_and_grad(lambda x: nn.cross_entropy(x, labels, label_smoothing=0.1))(x)
    np.testing.assert_allclose(value, np.log(70000), rtol=1e-3)
    assert value.dtype == np.float16
    np.testing.assert_allclose(d[0, 3], -0.9, rtol=1e-3)
    assert np.isfinite(d).all()


def test_all_of_the_label_is_spread():
    """With a smoothing of 1 no label counts, so that an impossible one does not make 0·inf."""
    x = np.array([[-np.inf, 0.0, 1.0], [2.0, 0.0, 1.0]])
    losses, pullback = ad.vjp(lambda x: nn.cross_entropy(x, [0, 0], label_smoothing=1.0, reduction="none"), x)
    assert losses[0] == np.inf
    np.testing.assert_allclose(losses[1], np.log(np.exp(2) + 1 + np.e) - 1, rtol=1e-14)
    np.testing.assert_allclose(pullback(np.ones(2))[0], nn.softmax(x) - 1 / 3, rtol=1e-13)


def test_a_huber_loss_that_never_turns_linear():
    x = np.array([np.inf, -3.0, 0.0])
    losses, pullback = ad.vjp(lambda x: nn.huber(x, np.zeros(3), np.inf, "none"), x)
    np.testing.assert_array_equal(losses, [np.inf, 4.5, 0.0])
    np.testing.assert_array_equal(pullback(np.ones(3))[0], x)
    check_grads(lambda x: nn.huber(x, np.zeros(2), np.inf), (x[1:],), order=2)


@pytest.mark.parametrize("loss", [nn.cross_entropy, nn.nll])
def test_the_axis_of_the_classes(loss):
    x, labels = np.zeros((2, 3)), np.array([0, 1])
    with pytest.raises(np.exceptions.AxisError, match="axis 5 is out of bounds for array of dimension 2"):
        loss(x, labels, axis=5)
    with pytest.raises(SettingError, match="reduction='sum', by its name"):
        loss(x, labels, "sum")
    with pytest.raises(SettingError, match="axis=-1"):
        loss(x, labels, axis=(1,))
    with pytest.raises(np.exceptions.AxisError):
        loss(np.float64(0.0), 0)
    with pytest.raises(SettingError, match="by its name"):
        nn.kl_divergence(x, x, "sum")


@pytest.mark.parametrize("loss", [nn.cross_entropy, nn.nll])
def test_no_classes_and_no_rows(loss):
    for shape in ((0, 0), (0, 3)):
        x, labels = np.zeros(shape), np.zeros(0, int)
        losses, pullback = ad.vjp(lambda x, labels=labels: loss(x, labels, reduction="none"), x)
        assert losses.shape == (0,)
        assert pullback(losses)[0].shape == shape
        assert loss(x, labels, reduction="sum") == 0
    assert nn.cross_entropy(np.zeros((0, 0)), np.zeros((0, 0)), label_smoothing=0.1, reduction="none").shape == (0,)
    with pytest.raises(LabelError, match="among 0 classes"):
        loss(np.zeros((2, 0)), np.array([0, 0]))


def test_what_does_not_fit_is_said_in_the_words_of_the_loss():
    x, labels = np.zeros((4, 3)), np.array([0, 1, 2, 0])
    for loss in (nn.cross_entropy, nn.nll):
        with pytest.raises(ShapeError, match="swapped"):
            loss(labels, x)
        with pytest.raises(ShapeError, match="swapped"):
            ad.grad(lambda x, loss=loss: loss(labels, x))(x)
    for loss in (nn.binary_cross_entropy_with_logits, nn.kl_divergence):
        with pytest.raises(ShapeError, match="targets of shape") as caught:
            loss(x, np.zeros((3, 4)))
        assert "class" not in str(caught.value)
    with pytest.raises(ShapeError, match="of −1 and 1") as caught:
        nn.hinge(x, np.ones(4))
    assert "class" not in str(caught.value)


def test_settings_of_losses_are_numbers():
    x = np.ones((2, 3))
    for key, loss in (("delta", lambda s: nn.huber(x, x, s)),
                      ("label_smoothing", lambda s: nn.cross_entropy(x, [0, 1], label_smoothing=s))):  # fmt: skip
        with pytest.raises(SettingError, match=f"{key} is a tensor"):
            ad.grad(loss)(0.5)
        with pytest.raises(SettingError, match="one real number"):
            loss("half")


def test_complex_numbers_are_refused(rng):
    z = rng.standard_normal((2, 3)) + 1j
    for loss in (nn.mse, nn.huber):
        with pytest.raises(DtypeError, match=r"np\.abs"):
            loss(z, z.real)
    with pytest.raises(DtypeError, match="hinge"):
        nn.hinge(z, np.ones((2, 3)))
    with pytest.raises(DtypeError, match="cross_entropy"):
        nn.cross_entropy(z, np.ones((2, 3)) / 3)
    check_grads(nn.mae, (z, 2j * z), order=2)
