"""The notebook of four dialects: every block that stands there as text is run, and gives what our cells give."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

import autodiff as ad

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "09_from_autograd_jax_pytorch.ipynb"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TASKS = [f"task-{n}" for n in range(1, 11)]
PEERS = ["autograd", "jax", "torch"]

pytestmark = pytest.mark.filterwarnings("ignore")  # what engines warn of is theirs


def blocks(*tags):
    """The code of the cells that have all these tags: of a code cell its own, of a text the blocks in it."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    found = [cell for cell in cells if set(tags) <= set(cell["metadata"].get("tags", ()))]
    texts = [("".join(cell["source"]) + "\n", cell["cell_type"]) for cell in found]
    return [code for text, kind in texts for code in ([text] if kind == "code" else BLOCK.findall(text))]


def own(tag):
    """Our own cell of a task: the one that is code."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    (code,) = ["".join(cell["source"]) for cell in cells
               if cell["cell_type"] == "code" and tag in cell["metadata"].get("tags", ())]  # fmt: skip
    return code


def plain(x):
    """An answer as nested dicts and tuples of NumPy arrays."""
    if isinstance(x, Mapping):
        return {key: plain(x[key]) for key in sorted(x)}
    if isinstance(x, (tuple, list)):
        return tuple(map(plain, x))
    return np.asarray(x.detach() if hasattr(x, "detach") else x)


def assert_same(a, b, where):
    assert type(a) is type(b), where
    if isinstance(a, np.ndarray):
        assert (a.shape, a.dtype) == (b.shape, b.dtype), where
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11, err_msg=where)
        return
    assert len(a) == len(b), where
    for key in a if isinstance(a, dict) else range(len(a)):
        assert_same(a[key], b[key], f"{where}[{key!r}]")


@pytest.fixture(scope="module")
def ours():
    """What our cells answer, and the arrays that all of them get."""
    namespace = {"np": np, "ad": ad, "__name__": "notebook"}
    exec(compile(own("data"), "data", "exec"), namespace)
    data = {key: value for key, value in namespace.items() if isinstance(value, (np.ndarray, dict, list))
            and not key.startswith("_")}  # fmt: skip
    found = {}
    for task in TASKS:
        exec(compile(own(task), task, "exec"), namespace)
        found[task] = plain(namespace.pop("answer"))
    return data, found


def test_every_task_has_its_four_dialects(ours):
    _, found = ours
    assert list(found) == TASKS
    for peer in PEERS:
        assert [len(blocks(f"peer-{peer}", task)) for task in ("data", *TASKS)] == [1] * 11


@pytest.mark.parametrize("peer", PEERS)
def test_every_block_gives_our_numbers(ours, peer):
    pytest.importorskip(peer)
    data, found = ours
    namespace = {"np": np, "__name__": "notebook", **data}
    for task in ("data", *TASKS):
        (code,) = blocks(f"peer-{peer}", task)
        exec(compile(code, f"{peer}, {task}", "exec"), namespace)
        if task in found:
            assert_same(plain(namespace.pop("answer")), found[task], f"{peer}, {task}")
