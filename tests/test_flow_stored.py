"""A flow on disk: what comes back is the same to the last bit, and what is no flow is refused by name."""

import io
import json
import zipfile

import numpy as np
import pytest

import autodiff as ad
from autodiff import GradientFlow, Graph
from autodiff.errors import LoadError
from tests.viz import nets


def same(flow, other):
    for a, b in zip(flow.delta, other.delta, strict=True):
        np.testing.assert_array_equal(a, b, strict=True)
    assert flow.contributions.keys() == other.contributions.keys()
    for edge, term in flow.contributions.items():
        np.testing.assert_array_equal(term, other.contributions[edge], strict=True)
    assert flow.scales == other.scales


def test_a_flow_comes_back_to_the_last_bit(rng, tmp_path):
    flow = nets.residual_flow(rng)
    flow.save(tmp_path / "f.json")
    again = GradientFlow.load(tmp_path / "f.json")
    same(flow, again)
    assert again.joins() == flow.joins()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.json", "f.npz"]


def test_seeds_and_cuts_come_back(tmp_path):
    graph = ad.trace(lambda x: (np.sin(x), np.sum(x + 3.0 * x)))(np.array([1.0, 2.0], np.float32))
    flow = graph.backward([[0.5, np.float32(0.25)], 2.0]).cut(("x", "add")).scale(("x", "multiply"), np.inf)
    flow.save(tmp_path / "f.json")
    same(flow, GradientFlow.load(tmp_path / "f.json"))


def test_it_is_the_file_of_a_graph_too(rng, tmp_path):
    flow = nets.residual_flow(rng)
    flow.save(tmp_path / "f.json")
    assert Graph.load(tmp_path / "f.json") == flow.graph
    flow.graph.save(tmp_path / "g.json")
    with pytest.raises(LoadError, match=r"without a flow: Graph\.load\(path\)\.backward\(\)"):
        GradientFlow.load(tmp_path / "g.json")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda d: d["flow"].pop("seeds"), "KeyError"),
        (lambda d: d.update(flow=3), "TypeError"),
        (lambda d: d["flow"]["seeds"][0].__setitem__(0, 0), "not a δ of an output"),
        (lambda d: d["flow"]["seeds"][0].__setitem__(1, [2.0]), "not a δ of an output"),
        (lambda d: d["flow"].update(scales=[[2, 7, 0.0]]), "scales an edge"),
        (lambda d: d["flow"].update(scales=[[2, 0, "much"]]), "ValueError"),
        (lambda d: d["nodes"][3].update(params={"dict": [["axis", "x"]]}), "cannot be swept"),
        (lambda d: d.update(values=False), "it has no values"),
    ],
)
def test_what_is_no_flow_is_refused(tmp_path, change, told):
    path = tmp_path / "f.json"
    ad.flow(lambda x, y: np.sum(x * y))(np.ones(3), np.ones(3)).save(path)
    document = json.loads(path.read_text(encoding="utf-8"))
    change(document)
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(LoadError, match=told):
        GradientFlow.load(path)


def test_an_archive_that_claims_more_than_there_is_memory_is_no_graph(tmp_path):
    path = tmp_path / "f.json"
    ad.flow(lambda x: x * 2.0)(1.0).save(path)

    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (2**55,)})
    with zipfile.ZipFile(tmp_path / "f.npz", "w") as archive:
        archive.writestr("a0.npy", header.getvalue())
    with pytest.raises(LoadError, match="cannot be read"):
        GradientFlow.load(path)


def test_flows_of_operations_with_several_results_are_compared(rng):
    def several(a):
        w, v = np.linalg.eigh(a @ a.T)
        return np.sum(w[:1]) + np.sum(v[0] ** 2)

    def one(a):
        return np.sum(np.linalg.eigh(a @ a.T)[0][:1])

    first, second = (ad.flow(several)(rng.normal(size=(3, 3))) for _ in range(2))
    (row,) = (row for row in first.compare(second) if row["what"] == "eigh")
    assert -1 <= row["cosine"] <= 1
    (row,) = (row for row in first.compare(ad.flow(one)(np.eye(3) + 0.1)) if row["what"] == "eigh")
    assert row["cosine"] is None  # one of them has a δ of its vectors, the other has none
