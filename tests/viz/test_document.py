"""The document of plain data, and the text formats that hold all of it."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

import autodiff as ad
from autodiff.viz import document, picture
from tests.viz import nets


def s2_flow():
    return ad.flow(nets.s2)(2.0, 3.0)


def test_fields_of_nodes_and_edges():
    found = document(s2_flow())
    a = found["nodes"][0]
    expected = {
        "id": 0, "kind": "input", "op": "input", "name": "a", "scope": [], "shape": [], "dtype": "float64",
        "path": True, "output": False, "uses": 2,
    }  # fmt: skip
    assert {key: a[key] for key in expected} == expected
    assert (a["value"]["number"], a["delta"]["number"]) == (2.0, 10.5)
    o = found["nodes"][-1]
    assert (o["call"], o["output"]) == ("multiply(·, 0.5)", True)
    assert o["formulas"][0]
    assert Path(o["line"]["file"]).name == "nets.py"
    assert [(edge["id"], edge["from"], edge["to"], edge["slot"]) for edge in found["edges"]] == [
        ("2:0", 0, 2, 0), ("3:0", 0, 3, 0), ("2:1", 1, 2, 1), ("3:1", 1, 3, 1), ("4:0", 2, 4, 0), ("4:1", 3, 4, 1),
        ("5:0", 4, 5, 0),
    ]  # fmt: skip
    assert [edge["delta"]["number"] for edge in found["edges"]] == [3.0, 7.5, 3.0, 5.0, 3.0, 2.5, 0.5]


def test_the_edges_close(rng):
    flow = nets.residual_flow(rng)
    found = document(flow)
    for node in found["nodes"]:
        edges = [edge for edge in found["edges"] if edge["from"] == node["id"]]
        if not node["output"]:
            assert sum(edge["projection"] for edge in edges) == pytest.approx(1)
            assert sum(edge["norm_share"] for edge in edges) == pytest.approx(1)
        assert node["delta"]["rms"] == pytest.approx(math.sqrt(np.mean(flow[node["id"]] ** 2)))
        for edge in edges:
            sent = flow.contributions[edge["to"], edge["slot"]]
            assert edge["delta"]["rms"] == pytest.approx(math.sqrt(np.mean(sent**2)))


def test_states_become_badges():
    badges = {node["name"]: node["badges"] for node in document(nets.states_flow())["nodes"] if node["name"]}
    assert badges == {
        "x": ["δ +Inf ×1"],
        "w": ["δ subnormal ×2"],
        "z": ["no path"],
        "v": ["δ exactly zero"],
        "t": ["cancels"],
        "bad": ["value NaN ×1", "value −Inf ×1"],
        "tiny": ["value subnormal ×2"],
        "steps": ["no path"],
        "masked": [],
        "cancelled": [],
    }


def test_equal_graphs_give_equal_documents(rng):
    values = (np.array([0.0]), rng.normal(size=(1, 1)), rng.normal(size=(4, 1)))
    first, second = (document(ad.flow(nets.recurrent)(*values)) for _ in range(2))
    assert first == second


def test_a_graph_without_a_flow_has_no_delta():
    found = document(ad.trace(nets.s2)(2.0, 3.0))
    assert not found["flow"]
    assert all(node["delta"] is None and node["path"] is None for node in found["nodes"])
    assert all(edge["kind"] == "no δ" for edge in found["edges"])


def test_literals_stand_in_the_call():
    def f(x):
        y = x[1:3] + np.arange(2.0)
        return np.sum(np.reshape(y, (2, 1)) * np.zeros((2, 9)), axis=(0, 1))

    calls = [node["call"] for node in document(ad.trace(f)(np.ones(4)))["nodes"]]
    assert calls == ["input", "getitem(·, index=1:3)", "add(·, [0. 1.])", "reshape(·, shape=(2, 1))",
                     "multiply(·, float64[2×9])", "sum(·, axis=(0, 1))"]  # fmt: skip


def test_json_is_strict_and_holds_everything():
    flow = nets.states_flow()
    text = picture(flow, "json")
    found = json.loads(text, parse_constant=lambda constant: pytest.fail(f"{constant} is not JSON"))
    assert text.isascii()
    plain = document(flow, joins=True)
    assert [node["id"] for node in found["nodes"]] == [node["id"] for node in plain["nodes"]]
    assert found["nodes"][5]["value"]["nan"] == plain["nodes"][5]["value"]["nan"]
    total = next(node for node in found["nodes"] if node["output"])
    assert total["value"]["number"] == "nan"
    assert "joins" in found


def test_json_golden(golden):
    text = picture(s2_flow(), "json")
    golden("s2.json", text.replace(json.dumps(nets.__file__)[1:-1], "nets.py"))


@pytest.mark.parametrize(("name", "make"), [("s2.txt", s2_flow), ("states.txt", nets.states_flow)])
def test_text_golden(golden, name, make):
    golden(name, picture(make(), "txt"))


def test_text_has_a_row_a_node_and_a_row_a_contribution(rng):
    flow = nets.residual_flow(rng, 30)
    lines = picture(flow, "txt").splitlines()
    rows = [line for line in lines if line[:1].isdigit()]
    assert len(rows) - 1 == len(flow.graph)  # the line of counts starts with a digit as well
    assert sum(line.startswith("%") for line in lines) == len(flow.contributions)


def test_a_chain_of_a_hundred_thousand_nodes():
    found = document(ad.flow(nets.chain)(1.0, 100_000))
    assert len(found["nodes"]) == 100_001
    assert found["nodes"][0]["delta"]["number"] == 1.0


def test_several_results_and_complex_numbers():
    @ad.primitive(results=True)
    def parts(z):
        return z * 2.0, z[:1] * 3.0

    parts.defvjp(lambda d, y, z: sum((2.0 * d[0], 0.0 * z)))
    flow = ad.trace(lambda z: np.sum(parts(z)[0] * 1j))(np.array([1.0 + 2j, 3.0])).backward(1.0)
    found = document(flow)
    many = next(node for node in found["nodes"] if node["op"] == "parts")
    assert (many["shape"], many["dtype"]) == ([[2], [1]], ["complex128", "complex128"])
    assert many["delta"]["size"] == 2  # one of its two results is used
    assert found["nodes"][-1]["value"]["number"] == [-4.0, 8.0]
    assert "−4 + 8i" in picture(flow, "txt")
    assert "2 results" in picture(flow, "svg", engine="builtin")
