"""Random wrong calls: they work, or raise an error of the catalogue or NumPy's own, and nothing from inside.

A failing case is printed as the line that reproduces it.
"""

import random

import pytest

import autodiff as ad
from autodiff.cli import operations
from tests.trust import misuse, misuse_face
from tests.trust.scale import times

PARTS = 4  # so that two workers share the work
NUMPY = times(60, 400, 15_000)
FACE = times(30, 200, 10_000)


@pytest.fixture(autouse=True)
def settled(tmp_path, monkeypatch):
    """In an empty folder, with the rules for SciPy loaded and one thread; nothing of it stays."""
    monkeypatch.chdir(tmp_path)
    operations.load()
    before = ad.threads._threads
    yield
    ad.threads._threads = before


def told(found):
    return "\n".join(f"{line}\n    {kind}: {what}" for line, kind, what in found)


@pytest.mark.parametrize("part", range(PARTS))
def test_wrong_calls_of_numpys_functions(part, tried):
    """Each beside the same call on plain arrays: the same values bit for bit, or the same exception, or ours."""
    rng, found, taken = random.Random(1000 + part), [], 0
    for _ in range(NUMPY):
        code, mode = misuse.expression(rng), rng.choice(misuse.MODES)
        wrong = misuse.judged(mode, code)
        if wrong and wrong[0] == "LENIENT":  # it works, and gives what is meant
            taken += 1
        elif wrong:
            found.append((f"misuse.judged({mode!r}, {code!r})", *wrong))
    assert not found, told(found)
    assert taken <= 1 + NUMPY / 200
    tried("random calls of NumPy's functions on tensors", NUMPY)
    if taken:
        tried("of those: taken where NumPy refuses", taken)


@pytest.mark.parametrize("part", range(PARTS))
def test_wrong_calls_of_the_package(part, tried):
    rng, found = random.Random(2000 + part), []
    for _ in range(FACE):
        code = misuse_face.statement(rng)
        wrong = misuse_face.judged(code)
        if wrong:
            found.append((f"misuse_face.judged({code!r})", *wrong))
    assert not found, told(found)
    tried("random calls of the package's own functions", FACE)


# -- what the fuzzer found ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "code"), [
    ("vjp", "np.isclose(v, v, rtol=v)"), ("vjp", "np.isclose(k, k, rtol=v)"),
    ("jit", "np.allclose(k, (1.5, 0), atol=f)"),
    ("vmap", "np.searchsorted(v, v, sorter=k)"),
    ("grad", "np.round(v, decimals=k)"), ("vjp", "np.argmin([1.0, 2.0], out=s)"), ("vjp", "np.histogram(one, s)"),
    ("vjp", "np.array_equal([v, v], [v, v])"), ("jit", "np.array_equal([v], [v])"),
    ("second", "np.array_equiv([v, v], [v, v])"),
    ("vjp", "np.mean(x, axis=False)"), ("vjp", "np.cumsum(x, axis=False)"), ("vjp", "at(f)[0].add(1j)"),
    ("vjp", "at(v)[0].add(None)"),
    ("vmap", "np.linalg.svdvals(v)"), ("vmap", "np.linalg.qr(v)"), ("vmap", "np.linalg.matrix_rank(v)"),
    ("vmap", "np.matvec(v, z)"),
    ("vmap", "np.concat((s, s))"), ("vmap", "np.diag(t)"), ("vmap", "np.ravel(x, None)"),
    ("vmap", "np.swapaxes(x, 0)"), ("vmap", "np.prod(f, axis=[])"),
    ("jit", "np.var(s, mean=2.0, ddof=np.uint8(3))"), ("vjp", "np.cov(e)"), ("vjp", "np.sum(v, dtype=np.uint8)"),
    ("vjp", "np.cumsum(x, dtype=np.int8)"),
    ("vjp", "np.prod(s, axis=0)"), ("vjp", "np.union1d(f, 2.0)"), ("vmap", "np.shares_memory(x, x)"),
    ("vmap", "x[x > 0]"),

    ("vjp", "np.concatenate((f, 2.0), axis=None)"),
    ("vjp", "round(v)"), ("vjp", "round(s)"), ("vjp", "np.insert(2.0, 1, v, axis=0)"), ("vjp", "np.put(x, z, 1.0)"),
    ("vjp", "np.place(f, b, v)"),
    ("vmap", "v @ 1"), ("vjp", "v.reshape(np.matrix([[1.0, 2.0, 3.0]]))"), ("trace", "np.min_scalar_type(x)"),
    ("trace", "np.common_type(x)"),
    ("vjp", "np.hstack([x, x], casting=k)"), ("vjp", "np.zeros_like(x, device=v)"), ("vjp", "v.fill(v)"),
    ("vjp", "np.sum(s, initial=v)"),
], ids=lambda x: x)  # fmt: skip
def test_what_was_found_stays_mended(mode, code):
    assert misuse.judged(mode, code) is None


@pytest.mark.parametrize("code", [
    "ad.grad(3)", "ad.grad(lambda a: a, argnums='text')(1.0)", "ad.grad(lambda a: a, argnums=True)(1.0, 2.0)",
    "ad.jacobian(np.sin, mode=v)",
    "ad.jvp(np.sin, v, v)", "ad.hvp(np.sin, 1.0, 1.0)", "ad.grad(lambda a: a, has_aux=v)(1.0)",
    "ad.jit(np.sin, passes=1.0)", "ad.primitive(max)",
    "primitive.defvjp(3, None)", "primitive.defvjp(max, None)", "flow[[v, 1]]", "flow[1.5]", "flow.compare(v)",
    "flow.cut_to(3)", "flow.prune('x')",
    "flow.by_scope('x')", "ad.check(None)", "ad.testing.check_op(3)", "ad.testing.check_grads(np.sin, v[0])",
    "ad.testing.check_grads(np.sin, (v,), rtol='x')",
    "ad.viz.document(3)", "ad.nn.gelu(v, v)", "ad.nn.one_hot(k, one)", "ad.watch(np.sum, depth='x')",
    "ad.vjp(np.sin, np.float64)", "ad.vjp(np.sin, 1.0)[1](np)",
])  # fmt: skip
def test_what_was_found_at_the_door_is_refused_by_name(code):
    kind, error = misuse.outcome(lambda: exec(compile(code, "case.py", "exec"), misuse_face.names()))
    assert kind == "error"
    assert isinstance(error, ad.errors.AutodiffError), repr(error)


# -- the judge itself --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mended", "code"), [
    (("value", 1.0), "np.sum(v)"), (("error", KeyError("inside")), "np.sum(v)"),
    (("error", TypeError("'int' object is not iterable")), "np.sum(v)"),
    (("value", 0.0), "np.sum(v, axis=7)"), (("error", RecursionError("deep")), "np.sum(v, axis=7)"),
    (("error", ad.errors.LeakError("no parts")), "np.sum(v)"),
], ids=str)  # fmt: skip
def test_the_judge_sees_what_is_wrong(monkeypatch, mended, code):
    def pretend(f, given, mode):
        kind, y = mended
        if kind == "error":
            raise y
        return y

    monkeypatch.setattr(misuse, "traced", pretend)
    assert misuse.judged("vjp", code) is not None
    monkeypatch.undo()
    assert misuse.judged("vjp", code) is None


def test_the_cases_are_the_same_in_every_run():
    one, two = ([misuse.expression(rng) for _ in range(50)] for rng in (random.Random(7), random.Random(7)))
    assert one == two
    one, two = ([misuse_face.statement(rng) for _ in range(50)] for rng in (random.Random(7), random.Random(7)))
    assert one == two
