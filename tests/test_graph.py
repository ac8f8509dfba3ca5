"""The graph as it can be read, checked, compared, replayed, handed to other tools, saved and loaded."""

import copy
import io
import json
import pickle

import networkx
import numpy as np
import pytest

import autodiff as ad
from autodiff.archive import beside
from autodiff.errors import GraphError, LoadError, UnknownNameError
from autodiff.graph import LITERAL, Edge, Values, scope_tree
from autodiff.sweep import deltas, evaluate, tangents

W, X = np.array([[0.5, -1.0, 2.0], [0.25, 0.0, -0.75]]), np.array([1.0, 2.0, -0.5])


def net(w, x):
    with ad.scope("layer"):
        hidden = ad.name(np.tanh(w @ x + 0.5), "hidden")
        with ad.scope("inner"):
            y = hidden * hidden
    return np.sum(y * np.array([2.0, 3.0]))


@pytest.fixture
def graph():
    return ad.trace(net)(W, X)


# -- reading -------------------------------------------------------------------------------------------------------


def test_nodes_stand_in_the_order_of_computation(graph):
    assert [node.op.name for node in graph.nodes] == [
        "input", "input", "matmul", "add", "tanh", "multiply", "multiply", "sum",
    ]  # fmt: skip
    assert len(graph) == len(graph.nodes) == 8
    assert all(i < w for w, inputs in enumerate(graph.inputs) for i in inputs)


def test_a_node_reads_its_row(graph):
    node = graph.node("hidden")
    assert (node.index, node.op.name, node.name, node.label) == (4, "tanh", "hidden", "hidden")
    assert (node.shape, node.dtype, node.scope) == ((2,), np.float64, ("layer",))
    assert node.inputs == (graph.nodes[3],)
    assert node.consumers == [(graph.nodes[5], 0), (graph.nodes[5], 1)]
    np.testing.assert_array_equal(node.value, np.tanh(W @ X + 0.5))
    assert repr(node) == "<node 4 'hidden': tanh float64[2]>"
    assert graph.nodes[-1].label == "sum"


def test_arguments_hold_nodes_and_literals(graph):
    left, right = graph.nodes[3].arguments
    assert left == graph.nodes[2]
    assert right == 0.5
    assert graph.inputs[3] == (2, LITERAL)
    _, factor = graph.nodes[6].arguments
    np.testing.assert_array_equal(factor, [2.0, 3.0])
    assert graph.nodes[6].inputs == (graph.nodes[5],)


def test_literals_are_the_graphs_own_copies():
    factor = np.array([2.0, 3.0])
    graph = ad.trace(lambda x: x * factor)(np.ones(2))
    factor[:] = 0.0
    np.testing.assert_array_equal(graph.literals[1][1], [2.0, 3.0])
    np.testing.assert_array_equal(graph.backward(np.ones(2))["x"], [2.0, 3.0])


def test_settings_and_slices():
    graph = ad.trace(lambda x: np.sum(x[1:], axis=0, keepdims=True))(W)
    assert graph.nodes[1].params == {"index": slice(1, None)}
    assert graph.nodes[2].params == {"axis": 0, "keepdims": True}
    assert graph.nodes[0].params == {}


def test_nodes_are_a_sequence(graph):
    assert graph.nodes[-1].index == 7
    assert [node.index for node in graph.nodes[2:4]] == [2, 3]
    assert graph.nodes[2] in graph.nodes
    with pytest.raises(IndexError):
        graph.nodes[8]


def test_nodes_are_equal_when_they_are_the_same_row(graph):
    assert graph.nodes[2] == graph.nodes[2]
    assert len({graph.nodes[2], graph.nodes[2], graph.nodes[3]}) == 2
    assert graph.nodes[2] != ad.trace(net)(W, X).nodes[2]
    assert graph.nodes[2] != 2
    assert W.tolist()[graph.nodes[1]] == W.tolist()[1]  # a node stands for its number


def test_consumers_are_the_output_sets(graph):
    assert graph.consumers[4] == [(5, 0), (5, 1)]
    assert graph.consumers[7] == []
    pairs = [(v, *use) for v, uses in enumerate(graph.consumers) for use in uses]
    assert sorted(pairs) == sorted(tuple(edge) for edge in graph.edges)
    assert Edge(4, 5, 1) in list(graph.edges)


def test_a_node_used_twice_by_one_operation():
    graph = ad.trace(lambda x: x * x + x)(3.0)
    assert graph.consumers[0] == [(1, 0), (1, 1), (2, 1)]
    flow = graph.backward()
    assert flow.edge("x", 1) == [3.0, 3.0]
    assert flow["x"] == 7.0


def test_finding_nodes(graph):
    assert graph.node(2) == graph.node(-6) == graph.node(graph.nodes[2])
    assert graph.node("w") == graph.nodes[0]
    for key in ("hiddn", 8, -9):
        with pytest.raises(UnknownNameError):
            graph.node(key)


def test_names_of_arguments_in_containers():
    graph = ad.trace(lambda params, *rest: params["w"][0] * params["b"] + rest[0])({"w": [2.0], "b": 3.0}, 1.0)
    assert sorted(graph.names.values()) == ["params['b']", "params['w'][0]", "rest[0]"]


def test_a_given_name_comes_before_the_arguments_own():
    graph = ad.trace(lambda x: ad.name(x, "φ0") * 2.0)(3.0)
    assert graph.names == {0: "φ0"}


def test_scopes(graph):
    assert graph.nodes[5].scope == ("layer", "inner")
    assert graph.nodes[7].scope == ()
    found = scope_tree(graph)
    assert found["layer", "inner"] == [5]
    assert sorted(i for rows in found.values() for i in rows) == list(range(8))


def test_a_leaf_is_recorded_when_it_is_first_used():
    graph = ad.trace(lambda a, b: (a * 2.0) + b)(1.0, 3.0)
    assert [node.label for node in graph.nodes] == ["a", "multiply", "b", "add"]
    assert graph.arguments == [0, 2]


def test_an_unused_argument_still_has_a_node():
    graph = ad.trace(lambda a, b: a * 2.0)(1.0, 3.0)
    assert graph.node("b").consumers == []
    assert graph.node("b").value == 3.0


def test_lines_are_the_users_own(graph):
    start = net.__code__.co_firstlineno
    assert graph.nodes[4].line == (__file__, start + 2)
    assert graph.nodes[5].line == (__file__, start + 4)
    assert graph.nodes[7].line == (__file__, start + 5)


def test_lines_through_methods_composites_and_helpers():
    def helper(x):
        return x.mean()  # the line of mean

    graph = ad.trace(lambda x: helper(x) * 2)(X)
    lines = {node.line for node in graph.nodes if node.op.name not in ("input", "multiply")}
    assert lines == {(__file__, helper.__code__.co_firstlineno + 1)}


def test_lean_traces_take_no_lines():
    kept = []
    ad.grad(lambda x: kept.append(x.recorder.graph) or np.sum(x * x))(X)
    assert kept[0].lines == []


def test_the_title_and_the_repr(graph):
    assert graph.title == "net"
    assert repr(graph) == "<graph of net: 8 nodes, 8 edges, 1 outputs>"


def test_print_shows_every_row(graph):
    lines = str(graph).splitlines()
    assert len(lines) == 9
    for word in ("#", "name", "operation", "inputs", "dtype", "shape", "value"):
        assert word in lines[0]
    assert "layer/hidden" in lines[5]
    assert "tanh" in lines[5]
    assert "%3" in lines[5]
    assert "0.5" in lines[4]
    assert "float64" in lines[5]


def test_print_of_a_flow_has_a_column_of_deltas(graph):
    lines = str(graph.backward()).splitlines()
    assert lines[0].rstrip().endswith("δ")
    assert len(lines) == 9


def test_print_of_a_long_graph_is_cut_in_the_middle():
    def long(x):
        for _ in range(1000):
            x = x + 1.0
        return x

    lines = str(ad.trace(long)(1.0)).splitlines()
    assert len(lines) == 202
    assert "801 more" in "".join(lines)
    assert lines[-1].startswith("1000")


def test_print_of_odd_values():
    arrays = (np.ones(9) * 1j, np.ones((0, 3)), np.full(9, np.nan))
    graph = ad.trace(lambda z, e, n: (z * 2.0, e * 1.0, n * np.nan))(*arrays)
    assert len(str(graph).splitlines()) == 7


# -- outputs -------------------------------------------------------------------------------------------------------


def test_outputs_in_containers():
    graph = ad.trace(lambda x: {"a": x * 2, "b": (np.sum(x), 7.0)})(X)
    assert len(graph.outputs) == 3
    assert [graph.nodes[v].op.name for v in graph.outputs] == ["multiply", "sum", "constant"]
    assert graph.nodes[graph.outputs[2]].value == 7.0
    flow = graph.backward([np.ones(3), 10.0, 0.0])
    np.testing.assert_array_equal(flow["x"], [12.0, 12.0, 12.0])


def test_the_same_node_returned_twice():
    graph = ad.trace(lambda x: (x * 2, x))(3.0)
    assert graph.outputs == [1, 0]
    graph = ad.trace(lambda x: [x, x])(3.0)
    assert graph.outputs == [0, 0]
    assert graph.backward([1.0, 10.0])["x"] == 11.0


def test_what_has_no_derivative_stays_outside():
    graph = ad.trace(lambda x, n, mode: x * n)(2.0, 3, "mode")
    assert [node.op.name for node in graph.nodes] == ["input", "multiply"]


def test_argnums_choose_the_inputs():
    graph = ad.trace(lambda a, b: a * b, argnums=1)(2.0, 3.0)
    assert [node.label for node in graph.nodes] == ["b", "multiply"]


# -- check ---------------------------------------------------------------------------------------------------------


def test_check_returns_a_sound_graph(graph):
    assert ad.check(graph) is graph
    assert len(ad.check(ad.trace(lambda: 3.0)())) == 1


def cut(column):
    return lambda g: getattr(g, column).pop()


BREAKS = {
    "inputs too short": (cut("inputs"), "column 'inputs' has 7 rows for 8"),
    "literals too short": (cut("literals"), "column 'literals'"),
    "params too short": (cut("params"), "column 'params'"),
    "shapes too short": (cut("shapes"), "column 'shapes'"),
    "dtypes too short": (cut("dtypes"), "column 'dtypes'"),
    "scopes too short": (cut("scopes"), "column 'scopes'"),
    "lines too short": (cut("lines"), "column 'lines'"),
    "an input that comes later": (lambda g: g.inputs.__setitem__(2, (0, 5)), "argument 1 of node 2 .matmul. is node 5"),
    "its own input": (lambda g: g.inputs.__setitem__(4, (4,)), "argument 0 of node 4 .tanh. is node 4"),
    "an input below all": (lambda g: g.inputs.__setitem__(4, (-2,)), "node -2"),
    "an argument too few": (lambda g: (g.inputs.__setitem__(2, (0,)), g.literals.__setitem__(2, (None,))), "takes 2"),
    "fewer literals than inputs": (lambda g: g.literals.__setitem__(3, (0.5,)), "2 inputs and 1 literals"),
    "an input that is no argument": (lambda g: g.arguments.pop(), "node 1 is an input but not among"),
    "an argument outside": (lambda g: g.arguments.append(8), "argument 8 is not a node"),
    "an output outside": (lambda g: g.outputs.append(-1), "output -1 is not a node"),
    "an argument twice": (lambda g: g.arguments.append(0), "twice among the arguments"),
    "a value too few": (lambda g: g.values.results.pop(), "7 rows for 8 nodes"),
    "another shape": (lambda g: g.shapes.__setitem__(4, (3,)), r"node 4 \(tanh\) says float64\(3,\)"),
    "another dtype": (lambda g: g.dtypes.__setitem__(4, np.dtype("f4")), "node 4 .tanh. says float32"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_check_names_what_is_broken(graph, name):
    harm, said = BREAKS[name]
    harm(graph)
    with pytest.raises(GraphError, match=said):
        ad.check(graph)


def test_a_graph_without_values_says_so(graph):
    graph.values = None
    assert ad.check(graph) is graph
    with pytest.raises(GraphError, match=r"node 4 of this graph has no value(.|\n)*evaluate"):
        _ = graph.node("hidden").value


# -- equality ------------------------------------------------------------------------------------------------------


def test_equal_programs_are_equal_whatever_their_values(graph):
    assert graph == ad.trace(net)(W, X)
    assert graph == ad.trace(net)(W * 2, X - 1)
    assert not graph != ad.trace(net)(W, X)  # noqa: SIM202  # __ne__ is what is asked
    assert graph != "net"


@pytest.mark.parametrize("other", [
    lambda x: np.sum(x[1:] * 3.0), lambda x: np.sum(x[:1] * 2.0), lambda x: np.sum(x[1:] + 2.0), lambda x: x[1:] * 2.0,
    lambda x: np.sum(2.0 * x[1:]), lambda x: np.sum(x[1:] * np.float32(2.0)), lambda x: np.sum(x[1:] * np.array(2.0)),
    lambda x: np.sum(x[1:] * 2.0, axis=0), lambda x: np.sum(x[1:] * 2), lambda x: (np.sum(x[1:] * 2.0), x),
    lambda x: np.sum(x[1:] * np.array([2.0, 2.0])), lambda x: np.sum(x[[1, 2]] * 2.0),
])  # fmt: skip
def test_other_programs_are_not_equal(other):
    assert ad.trace(lambda x: np.sum(x[1:] * 2.0))(X) != ad.trace(other)(X)


def test_nan_literals_are_equal_to_themselves():
    make = lambda: ad.trace(lambda x: x * np.array([np.nan, 1.0, 2.0]) + float("nan"))(X)
    assert make() == make()


def test_other_shapes_and_dtypes_are_other_programs():
    f = lambda x: x * 2.0
    assert ad.trace(f)(X) != ad.trace(f)(X[:2])
    assert ad.trace(f)(X) != ad.trace(f)(X.astype(np.float32))


def test_a_graph_is_not_hashable(graph):
    with pytest.raises(TypeError):
        hash(graph)


# -- networkx ------------------------------------------------------------------------------------------------------


def test_to_networkx(graph):
    drawn = graph.to_networkx()
    assert isinstance(drawn, networkx.MultiDiGraph)
    assert list(drawn.nodes) == list(range(8))
    assert drawn.number_of_edges() == len(list(graph.edges)) == 8
    assert drawn.graph["title"] == "net"
    assert drawn.graph["arguments"] == graph.arguments
    assert drawn.graph["outputs"] == graph.outputs
    node = drawn.nodes[4]
    assert set(node) >= {"op", "kind", "name", "scope", "shape", "dtype", "params", "literals", "line", "value"}
    assert (node["op"], node["kind"], node["name"], node["scope"]) == ("tanh", "elementwise", "hidden", ("layer",))
    assert (node["shape"], node["dtype"]) == ((2,), "float64")
    np.testing.assert_array_equal(node["value"], graph.nodes[4].value)
    assert networkx.is_directed_acyclic_graph(drawn)
    assert list(networkx.topological_sort(drawn))[-1] == 7


def test_parallel_edges_are_told_apart_by_position(graph):
    drawn = graph.to_networkx()
    assert sorted(drawn[4][5]) == [0, 1]
    assert drawn.edges[4, 5, 1]["position"] == 1


def test_to_networkx_without_values(graph):
    graph.values = None
    assert graph.to_networkx().nodes[4]["value"] is None


def test_paths_in_networkx_agree_with_the_graph():
    graph = ad.trace(lambda a, b: (a + b) * (a * b))(2.0, 3.0)
    paths = list(networkx.all_simple_edge_paths(graph.to_networkx(), 0, len(graph) - 1))
    assert len(paths) == 2


# -- replay --------------------------------------------------------------------------------------------------------


def test_evaluate_replays_on_other_arguments(graph):
    w, x = W * 3 - 1, X + 0.25
    values = evaluate(graph, [w, x])
    assert isinstance(values, Values)
    assert values.results[graph.outputs[0]] == net(w, x)
    assert values[graph.node("hidden")].shape == (2,)
    other = ad.trace(net)(w, x)
    for mine, theirs in zip(values, other.values, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert graph.values.results[graph.outputs[0]] == net(W, X)  # untouched


def test_evaluate_takes_one_value_an_argument(graph):
    with pytest.raises(ValueError, match="zip"):
        evaluate(graph, [W])


def test_replayed_values_can_be_swept(graph):
    w, x = W * 3 - 1, X + 0.25
    values = evaluate(graph, [w, x])
    delta = deltas(graph, values, {graph.outputs[0]: np.float64(1.0)})
    at_w, at_x = ad.grad(net, (0, 1))(w, x)
    np.testing.assert_array_equal(delta[0], at_w)
    np.testing.assert_array_equal(delta[1], at_x)
    tangent = tangents(graph, values, {0: w, 1: x})
    assert tangent[-1] == ad.jvp(net, (w, x), (w, x))[1]


def test_evaluate_on_tensors_can_be_differentiated(graph):
    found = ad.grad(lambda x: evaluate(graph, [W, x]).results[graph.outputs[0]])(X)
    np.testing.assert_array_equal(found, ad.grad(net, 1)(W, X))


def test_replay_of_constants_containers_and_flat_operations():
    def f(p):
        mask = p["x"] > 0
        return np.where(mask, p["x"] * 2, 0.0), np.floor(p["x"]), 3.0

    graph = ad.trace(f)({"x": X})
    for x in (X, -X, X * 10):
        values = evaluate(graph, [x])
        for v, expected in zip(graph.outputs, f({"x": x}), strict=True):
            np.testing.assert_array_equal(values.results[v], expected)


def test_targets_limit_the_sweep(graph):
    visited = []
    seeds = {graph.outputs[0]: np.float64(1.0)}
    delta = deltas(graph, graph.values, seeds, targets=[1], visit=lambda v, w, k: visited.append(v))
    assert delta[0] is None
    assert 0 not in visited
    np.testing.assert_array_equal(delta[1], ad.grad(net, 1)(W, X))


def test_the_sweep_may_start_anywhere(graph):
    delta = deltas(graph, graph.values, {4: np.array([1.0, 0.0])})
    assert delta[5] is None
    np.testing.assert_allclose(delta[1], (1 - np.tanh(W @ X + 0.5)[0] ** 2) * W[0], rtol=1e-14)


# -- on disk -------------------------------------------------------------------------------------------------------


@ad.primitive
def doubled(x, *, times=2):
    return x * times


doubled.defvjp(lambda d, y, x, *, times=2: d * times)

SAVED = {
    "net": (net, (W, X)),
    "settings": (lambda x: np.sum(np.reshape(x[::-2, ..., None], (-1,)), keepdims=True), (W,)),
    "indices": (lambda x: x[np.array([0, 1, 1])] * x[0], (W,)),
    "containers": (lambda p: {"a": p["w"] * 2, "b": [3.0]}, ({"w": X},)),
    "complex": (lambda z: np.exp(z * (1 - 2j)), (X * 1j,)),
    "special numbers": (lambda x: x * np.array([np.inf, -0.0, np.nan]) + float("inf") - float("nan"), (X,)),
    "float32": (lambda x: x * np.float32(0.1), (X.astype(np.float32),)),
    "longdouble": (lambda x: x * np.longdouble("0.1"), (X.astype(np.longdouble),)),
    "a primitive": (lambda x: doubled(x, times=3), (X,)),
    "names": (lambda x: ad.name(x * 2.0, 'a "name" <with> ünusual \n letters /..\\'), (X,)),
    "empty": (lambda x: x * 2.0, (np.ones((0, 3)),)),
    "nothing": (lambda: 3.0, ()),
    "gradient": (ad.grad(lambda x: np.sum(np.tanh(x) ** 2)), (X,)),
}


@pytest.mark.parametrize("name", SAVED)
def test_save_and_load_give_the_same_graph(name, tmp_path):
    f, args = SAVED[name]
    graph = ad.trace(f)(*args)
    path = tmp_path / "g.json"
    graph.save(path)
    again = ad.Graph.load(path)
    assert ad.check(again) == graph
    assert (again.title, again.names) == (graph.title, graph.names)
    assert (again.scopes, again.lines) == (graph.scopes, graph.lines)
    for mine, theirs in zip(again.values, graph.values, strict=True):
        np.testing.assert_array_equal(mine, theirs, strict=True)
    replayed = evaluate(again, [again.values[v] for v in again.arguments])
    for mine, theirs in zip(replayed, graph.values, strict=True):
        np.testing.assert_array_equal(mine, theirs, strict=True)


def test_a_loaded_graph_can_be_swept(graph, tmp_path):
    graph.save(tmp_path / "g.json")
    again = ad.Graph.load(tmp_path / "g.json").backward()
    for mine, theirs in zip(again.delta, graph.backward().delta, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_saving_without_values(graph, tmp_path):
    graph.save(str(tmp_path / "g.json"), values=False)
    again = ad.Graph.load(str(tmp_path / "g.json"))
    assert again == graph
    assert again.values is None
    assert evaluate(again, [W, X]).results[-1] == net(W, X)


def test_the_files_are_json_and_npz_without_pickle(graph, tmp_path):
    path = tmp_path / "g.json"
    graph.save(path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["g.json", "g.npz"]
    document = json.loads(path.read_text(encoding="utf-8"))
    assert [row["op"] for row in document["nodes"]] == [node.op.name for node in graph.nodes]
    with np.load(beside(path), allow_pickle=False) as arrays:
        assert all(arrays[key].dtype.kind in "biufc" for key in arrays.files)


def test_saving_again_overwrites_and_leaves_no_rubbish(graph, tmp_path):
    path = tmp_path / "g.json"
    ad.trace(lambda x: x * 2)(X).save(path)
    graph.save(path)
    assert ad.Graph.load(path) == graph
    assert len(list(tmp_path.iterdir())) == 2


def test_saving_twice_gives_the_same_text(graph, tmp_path):
    graph.save(tmp_path / "a.json")
    ad.trace(net)(W, X).save(tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_a_checkpoint_cannot_be_saved(tmp_path):
    graph = ad.trace(ad.checkpoint(np.sin))(X)
    with pytest.raises(GraphError, match="checkpoint"):
        graph.save(tmp_path / "g.json")
    assert list(tmp_path.iterdir()) == []


def damaged(change):
    """A change of the document, for the file of the net."""

    def harm(path):
        document = json.loads(path.read_text(encoding="utf-8"))
        change(document)
        path.write_text(json.dumps(document), encoding="utf-8")

    return harm


def row(i, **changes):
    return damaged(lambda document: document["nodes"][i].update(changes))


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


DAMAGE = {
    "not json": lambda path: path.write_text("graph"),
    "empty": lambda path: path.write_text(""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "not utf-8": lambda path: path.write_bytes(b"\xff\xfe\x00"),
    "a list": lambda path: path.write_text("[]"),
    "another format": damaged(lambda d: d.update(format="other")),
    "another version": damaged(lambda d: d.update(version=99)),
    "no nodes": damaged(lambda d: d.pop("nodes")),
    "nodes are a number": damaged(lambda d: d.update(nodes=3)),
    "a node is a number": damaged(lambda d: d["nodes"].append(3)),
    "an unknown operation": row(4, op="nonsense"),
    "an operation that is a list": row(4, op=["tanh"]),
    "a cycle": row(4, inputs=[6]),
    "an input out of range": row(4, inputs=[99]),
    "a missing argument": row(2, inputs=[0]),
    "a wrong shape": row(4, shape={"tuple": [7]}),
    "a wrong dtype": row(4, dtype={"dtype": "<f4"}),
    "a dtype of objects": row(4, dtype={"dtype": "O"}),
    "a missing array": row(4, value={"array": "a999"}),
    "an unknown tag": row(4, params={"code": "print(1)"}),
    "two tags": row(4, params={"tuple": [], "dict": []}),
    "a name for no one": damaged(lambda d: d.update(names=3)),
    "an output out of range": damaged(lambda d: d.update(outputs=[99])),
    "no outputs": damaged(lambda d: d.pop("outputs")),
    "deep nesting": lambda path: path.write_text("[" * 100_000),
    "npz cut": lambda path: beside(path).write_bytes(beside(path).read_bytes()[:50]),
    "npz is text": lambda path: beside(path).write_text("arrays"),
    "npz empty": lambda path: beside(path).write_bytes(b""),
    "npz with a pickle": lambda path: np.savez(beside(path), a0=np.array([{}], object)),
    "npz of a single array": lambda path: beside(path).write_bytes(npy(W)),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_file_is_refused(graph, name, tmp_path):
    path = tmp_path / "g.json"
    graph.save(path)
    DAMAGE[name](path)
    with pytest.raises(LoadError, match=r"g.json cannot be read as a graph(.|\n)*why:(.|\n)*instead:"):
        ad.Graph.load(path)


def test_a_graph_does_not_go_where_its_arrays_go(graph, tmp_path):
    graph.save(tmp_path / "g.json")
    with pytest.raises(ad.errors.GraphError, match="where the arrays go"):
        graph.save(tmp_path / "g.npz")
    assert ad.Graph.load(tmp_path / "g.json") == graph


def test_large_places_are_read_again(tmp_path):
    graph = ad.trace(lambda x: np.sum(np.take(x, [10**9], mode="wrap")))(np.ones(3))
    graph.save(tmp_path / "g.json")
    assert ad.Graph.load(tmp_path / "g.json") == graph


def test_a_missing_file_is_a_missing_file(graph, tmp_path):
    with pytest.raises(FileNotFoundError):
        ad.Graph.load(tmp_path / "no.json")
    graph.save(tmp_path / "g.json")
    beside(tmp_path / "g.json").unlink()
    with pytest.raises(FileNotFoundError):
        ad.Graph.load(tmp_path / "g.json")


def test_an_unknown_operation_is_answered_with_the_nearest(graph, tmp_path):
    graph.save(tmp_path / "g.json")
    row(4, op="tahn")(tmp_path / "g.json")
    with pytest.raises(LoadError, match=r"'tahn'.*nearest:.*tanh"):
        ad.Graph.load(tmp_path / "g.json")


# -- copies --------------------------------------------------------------------------------------------------------


def test_graphs_can_be_copied_and_pickled(graph):
    for again in (copy.copy(graph), copy.deepcopy(graph), pickle.loads(pickle.dumps(graph))):
        assert ad.check(again) == graph
        assert again.nodes[-1].value == graph.nodes[-1].value


def test_a_deep_graph_can_be_copied_printed_and_saved(tmp_path):
    def deep(x):
        for _ in range(5000):
            x = x * 1.0001
        return x

    graph = ad.trace(deep)(1.0)
    assert copy.deepcopy(graph) == pickle.loads(pickle.dumps(graph)) == graph
    graph.save(tmp_path / "g.json")
    assert ad.Graph.load(tmp_path / "g.json") == graph
    assert len(str(graph)) < 30_000
    assert graph.to_networkx().number_of_edges() == 5000


def test_a_name_borne_by_two_nodes_is_ambiguous():
    graph = ad.trace(lambda x: ad.name(x * 2, "c") + 3 * ad.name(x * 5, "c"))(1.0)
    with pytest.raises(UnknownNameError, match="2 nodes are named 'c'"):
        graph.node("c")


def test_backward_without_values_says_what_to_do(tmp_path):
    ad.trace(lambda x: x * x)(2.0).save(tmp_path / "g.json", values=False)
    with pytest.raises(GraphError, match="no values"):
        ad.Graph.load(tmp_path / "g.json").backward()


def test_a_function_among_the_settings_is_told_by_its_name():
    """Its address would differ from run to run."""

    def halves(x):
        return x / 2

    graph = ad.trace(lambda x: np.sum(np.apply_along_axis(halves, 0, x)))(np.ones((2, 3)))
    guarded = ad.jit(ad.grad(lambda x: np.sum(np.where(x > 0, np.sqrt(x), 0.0)))).lower(np.ones(2)).history[0][1]
    for found in (graph, guarded):
        for text in (str(found), ad.viz.picture(found, "svg"), ad.viz.picture(found, "txt")):
            assert " at 0x" not in text
    assert "guard[run=run]" in str(guarded)
