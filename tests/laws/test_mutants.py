"""Law 15: the doubters are doubted. Each way to be wrong is put into the rules, and a law must say so.

The mutated run goes through the very functions that judge the package. A mutant that changes no δ at all (the two
arguments of add, swapped) is no mistake and is left out; that it changes nothing is found by running it.
"""

import contextlib
import importlib
import inspect

import numpy as np
import pytest

import autodiff as ad
from autodiff import apply as apply_module
from autodiff import ops, sweep
from autodiff.errors import AutodiffError, CheckError
from autodiff.graph import OPERATIONS
from autodiff.ops import contract
from autodiff.testing.differences import derivative
from autodiff.testing.laws import cases, judge
from autodiff.testing.probe import draw_like, pull
from tests.laws.registry import OPS
from tests.laws.test_random_graphs import check_delta, check_edges, check_once, check_paths


def scaled(factor):
    return lambda rule: lambda d, y, *args, **settings: rule(d, y, *args, **settings) * factor


def dropped(rule):
    """One of the sum's terms is missing: the last element of d never arrives."""

    def mutant(d, y, *args, **settings):
        if isinstance(d, tuple) or not np.size(d):
            return rule(d, y, *args, **settings)
        keep = np.ones(np.shape(d))
        keep.reshape(-1)[-1] = 0.0
        return rule(d * keep.astype(d.dtype)[()], y, *args, **settings)

    return mutant


def swapped(rule):
    return lambda d, y, a, b, **settings: rule(d, y, b, a, **settings)


def kind(a):
    return np.shape(a), getattr(a, "dtype", type(a))


def stale(rule):
    """The rule sees the arguments and the result of the call before."""
    last = {}

    def mutant(d, y, *args, **settings):
        old_y, old = last.get(np.shape(y), (y, args))
        last[np.shape(y)] = (y, args)
        if [kind(a) for a in args] != [kind(a) for a in old]:
            old_y, old = y, args
        return rule(d, old_y, *old, **settings)

    return mutant


def forgetting(key):
    return lambda rule: lambda d, y, *args, **settings: rule(
        d, y, *args, **{name: value for name, value in settings.items() if name != key}
    )


@contextlib.contextmanager
def mutated(op, k, change):
    """The rule of argument k changed, in both directions where one rule serves both."""
    vjps, jvps, joint = op.vjps, op.jvps, op.joint
    try:
        if joint is not None:

            changed = change(lambda d, y, *args, **settings: joint(d, y, *args, **settings)[k])

            def mutant(d, y, *args, **settings):
                terms = list(joint(d, y, *args, **settings))
                terms[k] = None if terms[k] is None else changed(d, y, *args, **settings)
                return tuple(terms)

            op.joint = mutant
        else:
            rule = change(vjps[k])
            op.vjps = (*vjps[:k], rule, *vjps[k + 1 :])
            if jvps is not None and jvps[k] is vjps[k]:
                op.jvps = (*jvps[:k], rule, *jvps[k + 1 :])
        yield
    finally:
        op.vjps, op.jvps, op.joint = vjps, jvps, joint


def gradients(drawn):
    """Every δ at every example; None where a rule fails."""
    found = []
    for case in drawn:
        try:
            found += pull(case.f, case.xs, case.seeds(case.rng("mutant")))
        except (AutodiffError, TypeError, ValueError, IndexError, AttributeError):
            found.append(None)
    return found


def differ(these, those):
    """Whether a mutant changed anything but the last bits."""
    return len(these) != len(those) or not all(
        a is not None and np.shape(a) == np.shape(b) and np.allclose(a, b, rtol=1e-13, atol=1e-15)
        for a, b in zip(these, those, strict=True)
    )


def caught(drawn, laws=("adjoint", "oracle", "second", "complex", "purity", "linearity", "corners")):
    """The law that notices; None where none does."""
    for law in laws:
        for case in drawn:
            try:
                judge(law, case)
            except CheckError:
                return law
    return None


def zero_by_nature(op, k):
    """Whether a pointwise operation is a step in this argument; asked where its examples may not go."""
    if op.kind != "elementwise":
        return False
    case = cases(op)[0]
    rng = np.random.default_rng(0)
    args = tuple(rng.uniform(0.3, 2.0, 20) if i in case.active else np.resize(x, 20) for i, x in enumerate(case.args))
    there = case._replace(args=args)
    with np.errstate(all="ignore"):
        found = pull(there.f, there.xs, (np.ones(20),))
    return not np.any(found[case.active.index(k)])


def mutable():
    """Every (operation, argument) that can be wrong; in an argument without a forward rule of its own δ is zero."""
    for op in OPS:
        drawn = [case for case in cases(op) if case.active]
        for k in sorted({k for case in drawn for k in case.active if np.size(case.args[k])}):
            if (op.kind == "op" and op.jvps is not None and op.jvps[k] is None) or zero_by_nature(op, k):
                continue
            yield pytest.param(op, k, id=f"{op.name}-{k}")


def sharpness(op, drawn, k):
    """The smallest error that a law can see: rounding where forward mode has a rule of its own, else the oracle's."""
    own = op.jvps is not None and (op.joint is not None or op.jvps[k] is not op.vjps[k])
    if own or op.kind in ("linear", "bilinear"):
        return 1e-12
    rng = np.random.default_rng(0)
    sized = [case for case in drawn if np.size(case.args[k])]
    return min(derivative(case.f, case.xs, [draw_like(rng, x) for x in case.xs]).rtol for case in sized)


MUTABLE = list(mutable())


@pytest.mark.slow  # all of them together; the table below takes one of each kind and family
@pytest.mark.parametrize(("op", "k"), MUTABLE)
def test_a_wrong_factor(op, k):
    drawn = [case for case in cases(op) if k in case.active]
    factor = max(1e-9, 20 * sharpness(op, drawn, k))
    with mutated(op, k, scaled(1 + factor)):
        assert caught(drawn), f"a factor of 1 + {factor} in the rule of argument {k} passes every law"


@pytest.mark.slow  # all of them together; the table below takes one of each kind and family
@pytest.mark.parametrize(("op", "k"), MUTABLE)
def test_a_flipped_sign(op, k):
    drawn = [case for case in cases(op) if k in case.active]
    with mutated(op, k, scaled(-1.0)):
        assert caught(drawn)


@pytest.mark.slow  # all of them together; the table below takes one of each kind and family
@pytest.mark.parametrize(("op", "k"), MUTABLE)
def test_a_dropped_term(op, k):
    drawn = [case for case in cases(op) if k in case.active]
    before = gradients(drawn)
    with mutated(op, k, dropped):
        assert caught(drawn) or not differ(gradients(drawn), before)


@pytest.mark.slow  # all of them together; the table below takes one of each kind and family
@pytest.mark.parametrize(("op", "k"), MUTABLE)
def test_a_stale_saved_value(op, k):
    drawn = [case for case in cases(op) if k in case.active]
    with mutated(op, k, stale):
        noticed = caught(drawn)
    assert noticed or not differ(gradients(drawn), gradients([_elsewhere(case) for case in drawn]))


def _elsewhere(case):
    """The same case at other values. Where δ is the same there, the rule reads nothing that could be stale."""
    args = list(case.args)
    for k in case.active:
        args[k] = args[k] * 0.5
    return case._replace(args=tuple(args))


def pairs():
    """Every operation of two arguments that are both mutable, with a rule for each."""
    names = [param.values[0] for param in MUTABLE]
    return [op for op in dict.fromkeys(names) if op.arity == 2 and op.joint is None and names.count(op) == 2]


@pytest.mark.parametrize("op", pairs(), ids=lambda op: op.name)
@pytest.mark.parametrize("k", [0, 1])
def test_swapped_arguments(op, k):
    drawn = cases(op)
    before = gradients(drawn)
    with mutated(op, k, swapped):
        assert caught(drawn) or not differ(gradients(drawn), before)


def forgettable():
    """Every (operation, setting) whose rules can do without it, because they have a default for it."""
    for op in OPS:
        rules = [rule for rule in (*op.vjps, op.joint) if rule is not None]
        for key in sorted(op.accepts):
            parameters = [inspect.signature(rule).parameters.get(key) for rule in rules]
            if parameters and all(p is not None and p.default is not p.empty for p in parameters):
                yield pytest.param(op, key, id=f"{op.name}-{key}")


FORGETTABLE = list(forgettable())


@pytest.mark.slow
@pytest.mark.parametrize(("op", "key"), FORGETTABLE)
def test_an_ignored_keyword(op, key):
    drawn = [case for case in cases(op) if key in case.example.params and case.active]
    before = gradients(drawn)
    for k in sorted({k for case in drawn for k in case.active}):
        with mutated(op, k, forgetting(key)):
            changes = differ(gradients(drawn), before)
            assert caught(drawn) or not changes, f"ignoring {key} in the rule of argument {k} passes every law"


def test_ignored_keywords_do_change_gradients():
    """The test above passes over settings without effect; most have one."""
    changed = []
    for op, key in (param.values for param in FORGETTABLE):
        drawn = [case for case in cases(op) if key in case.example.params and case.active]
        if drawn:
            before = gradients(drawn)
            with mutated(op, drawn[0].active[0], forgetting(key)):
                changed.append(differ(gradients(drawn), before))
    assert sum(changed) > len(changed) / 2


STRETCHED = [
    op for op in dict.fromkeys(param.values[0] for param in MUTABLE) if op.kind == "elementwise" and op.arity > 1
]


@pytest.mark.parametrize("op", STRETCHED, ids=lambda op: op.name)
@pytest.mark.parametrize("wrong", [lambda d, shape: d, lambda d, shape: d[(0,) * (d.ndim - len(shape))]])
def test_a_missing_unbroadcast(monkeypatch, op, wrong):
    drawn = cases(op)
    monkeypatch.setattr(sweep, "unbroadcast", wrong)
    assert caught(drawn, laws=("stretching",))
    assert caught(drawn, laws=("adjoint",)) or op.examples


@pytest.mark.parametrize("op", pairs(), ids=lambda op: op.name)
def test_an_edge_that_is_dropped(monkeypatch, op):
    real = sweep._edges
    monkeypatch.setattr(sweep, "_edges", lambda v, inputs, active: real(v, inputs, active)[:1])
    assert caught(cases(op), laws=("adjoint",))
    assert caught(cases(op), laws=("once",))


def test_a_missing_unbroadcast_in_a_product(monkeypatch):
    monkeypatch.setattr(contract, "unbroadcast", lambda d, shape: d)
    assert caught(cases(OPERATIONS["matmul"]))


def test_a_literal_that_is_not_copied(monkeypatch):
    monkeypatch.setattr(apply_module, "literal", lambda op, position, x: x)
    assert caught(cases(OPERATIONS["multiply"]), laws=("purity",)) == "purity"


def test_a_rule_that_writes_into_its_delta():
    def writing(rule):
        def mutant(d, y, *args, **settings):
            term = rule(d, y, *args, **settings)
            if type(d) is np.ndarray:
                d *= 1.0
            return term

        return mutant

    op = OPERATIONS["sin"]
    with mutated(op, 0, writing):
        assert caught(cases(op), laws=("purity",)) == "purity"


def test_a_rule_that_hands_out_its_delta(monkeypatch):
    """Without the copies at the door of a sweep, add would hand out the seed itself, twice."""
    real = sweep.deltas

    def bare(*args, **settings):
        rows = real(*args, **settings)
        return [d.view(_Slippery) if type(d) is np.ndarray else d for d in rows]

    monkeypatch.setattr("autodiff.call.deltas", bare)
    assert caught(cases(OPERATIONS["add"]), laws=("purity",)) == "purity"


class _Slippery(np.ndarray):
    """An array that the door does not take for an array, and so does not copy."""


def test_a_rule_that_is_not_linear():
    op = OPERATIONS["sin"]
    with mutated(op, 0, lambda rule: lambda d, y, x: rule(d, y, x) + 1e-6 * np.cos(x)):
        assert caught(cases(op), laws=("linearity",)) == "linearity"


def test_a_guard_that_is_missing():
    op = OPERATIONS["multiply"]
    guard = op.guard
    try:
        op.guard = None
        assert caught(cases(op), laws=("linearity",)) == "linearity"
    finally:
        op.guard = guard


def _sharing(a, b):
    c = np.sin(a) * b
    return np.sum(c * c + a)


GRAPH_LAWS = {
    "perturb": lambda flow: check_delta(flow, np.random.default_rng(0)),
    "paths": check_paths,
    "edges": check_edges,
    "once": lambda flow: check_once(flow.graph),
}


def noticed_on_a_graph():
    """Which of the laws on graphs speak up, on one graph in which values are shared."""
    found = set()
    for name, law in GRAPH_LAWS.items():
        try:
            law(ad.flow(_sharing)(0.7, np.array([0.5, -1.0])))
        except (AssertionError, AutodiffError):
            found.add(name)
    return found


def test_the_laws_on_graphs_hold_without_a_mutant():
    assert noticed_on_a_graph() == set()


def test_a_dropped_edge(monkeypatch):
    real = sweep._edges
    monkeypatch.setattr(sweep, "_edges", lambda v, inputs, active: real(v, inputs, active)[:1])
    assert noticed_on_a_graph() >= {"perturb", "paths", "once"}
    assert caught(cases(OPERATIONS["multiply"]), laws=("adjoint", "once"))


def test_an_edge_served_twice(monkeypatch):
    real = sweep._edges

    def twice(v, inputs, active):
        edges = real(v, inputs, active)
        return [*edges, edges[-1]] if edges else edges

    monkeypatch.setattr(sweep, "_edges", twice)
    assert noticed_on_a_graph() >= {"perturb", "paths", "once"}


def test_a_wrong_rule_in_a_graph():
    with mutated(OPERATIONS["multiply"], 1, scaled(1 + 1e-9)):
        assert noticed_on_a_graph() >= {"perturb", "paths"}


def test_a_contribution_that_is_not_kept(monkeypatch):
    real = sweep.deltas

    def losing(graph, values, seeds, *, contributions=None, **settings):
        rows = real(graph, values, seeds, contributions=contributions, **settings)
        if contributions:
            contributions.pop(next(key for key in contributions if key[1] == 1))
        return rows

    monkeypatch.setattr(importlib.import_module("autodiff.flows.routes"), "deltas", losing)
    assert noticed_on_a_graph() >= {"edges", "paths"}


def families():
    """For each family and kind of operation one that can be wrong, the last declared: (family, operation, argument)."""
    found = {}
    home = {id(x): name for name in ops.__all__ for x in vars(getattr(ops, name)).values()}
    for op, k in (param.values for param in MUTABLE):
        family = home.get(id(op), "scipy")
        found[family, op.kind, op.kind == "elementwise" and op.arity > 1] = (family, op, k)
    return list(found.values())


def injected(op, k, monkeypatch):
    """The law that notices each kind of injection; None where nothing was changed by it, "" where it passes."""
    drawn = [case for case in cases(op) if k in case.active]
    before = gradients(drawn)
    factor = 1 + max(1e-9, 20 * sharpness(op, drawn, k))
    kinds = {"factor": scaled(factor), "sign": scaled(-1.0), "dropped": dropped, "stale": stale}
    if op.arity == 2 and op.joint is None and len(drawn[0].active) == 2:
        kinds["swapped"] = swapped
    kinds |= {f"ignored {key}": forgetting(key) for rule_op, key in (p.values for p in FORGETTABLE) if rule_op is op}
    found = {}
    for name, change in kinds.items():
        with mutated(op, k, change):
            law = caught(drawn)
            changes = name in ("factor", "sign") or differ(gradients(drawn), before)
        moved = changes or (name == "stale" and differ(before, gradients([_elsewhere(case) for case in drawn])))
        column = name.partition(" ")[0]
        found[column] = law or found.get(column) or ("" if moved else None)
    real = sweep._edges
    if len(drawn[0].active) > 1:
        with monkeypatch.context() as patch:
            patch.setattr(sweep, "_edges", lambda v, inputs, active: real(v, inputs, active)[:1])
            found["edge"] = caught(drawn, laws=("adjoint", "once")) or ""
    if op.kind == "elementwise" and op.arity > 1:
        with monkeypatch.context() as patch:
            patch.setattr(sweep, "unbroadcast", lambda d, shape: d)
            found["unbroadcast"] = caught(drawn, laws=("stretching",)) or ""
    return found


INJECTIONS = ("factor", "sign", "dropped", "stale", "swapped", "ignored", "unbroadcast", "edge")


def test_the_law_that_catches_each_injection(monkeypatch):
    """The eight kinds of injection over every family: printed with -s, and none passes."""
    rows, passed, seen = [], [], set()
    for family, op, k in families():
        laws = injected(op, k, monkeypatch)
        seen |= {name for name, law in laws.items() if law}
        passed += [f"{op.name}, argument {k}: {name}" for name, law in laws.items() if law == ""]
        cells = "".join(f"{laws.get(name, '') or '·':>13}" for name in INJECTIONS)
        rows.append(f"{family:12} {op.kind:12} {op.name:22}{k:>3}{cells}")
    head = f"{'family':12} {'kind':12} {'operation':22}{'arg':>3}" + "".join(f"{name:>13}" for name in INJECTIONS)
    print("\n".join(["", head, *rows]))
    assert not passed, "no law notices:\n" + "\n".join(passed)
    assert seen == set(INJECTIONS)
