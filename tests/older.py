"""What older versions of NumPy cannot do, and the tests of it, which are skipped there, each with its reason.

The package is tested against NumPy itself, as it is installed. Where the newest one has a function, a keyword or a
mended bug that an older one has not, there is nothing to compare with. `python -m tests.trust.versions` runs with each.
"""

import functools
import re
from importlib.metadata import version

from packaging.version import Version

OLDER = [
    ("2.1", r"ops/test_shape\.py::.*(reshape with|orders_that_follow|errors_are_numpys)",
     "np.reshape has no shape= and copy="),
    ("2.1", r"ops/test_shape\.py::test_keywords_that_say_nothing", "np.astype has no device="),
    ("2.1", r"ops/test_\w+\.py::.*(unstack|cumulative_)",
     "there is no np.unstack, np.cumulative_sum and np.cumulative_prod"),
    ("2.1", r"test_methods\.py::test_as_numpy\[.*-(reshape|flatten)-", "x.reshape has no copy="),
    ("2.1", r"ops/test_elementwise\.py::.*clip", "np.clip needs both bounds"),
    ("2.1", r"ops/.*hardtanh-uint8", "np.clip refuses bounds that the dtype cannot hold"),
    ("2.1", r"ops/test_index\.py::.*\[insert, mask\]", "np.insert takes a mask for numbers"),
    ("2.2", r"ops/test_contract\.py::.*products_in_every_spelling", "there is no np.matvec and np.vecmat"),
    ("2.2", r"batching/test_rules\.py::test_every_rule_is_of_an_operation",
     "there is no np.matvec and np.vecmat"),
    ("2.3", r"::.*trim_zeros|ops/test_order\.py::test_numpys_own_errors",
     "np.trim_zeros has no axis=, or takes one axis alone"),
    ("2.3", r"ops/test_pad\.py::.*widths by axis", "np.pad takes no dict"),
    ("2.3", r"test_array_api\.py::", "NumPy follows an earlier edition of the Array API standard"),
    ("2.3", r"ops/test_quantile\.py::",
     "quantiles of float16, float32 and longdouble, and those with weights along an axis, are not what they are later"),
    ("2.3", r"test_tensor\.py::.*(\*\* 2|\*\*= 2|count_nonzero)",
     "x ** 2 is not np.power(x, 2) in the last bit; np.count_nonzero gives an int"),
    ("2.4", r"(test_names|test_documents|test_numpy_namespace)\.py::.*(missing|signature|fresh|in1d)",
     "the list of names is that of the newest NumPy; functions in C have no signature"),
    ("2.4", r"(test_methods\.py::test_every_method_is|ops/test_writes\.py::test_no_attribute_of_ndarray)",
     "arrays have methods that were taken off since"),
]  # fmt: skip
"""The first version that can, what is skipped before it (a part of the test's name), and what is missing."""


@functools.cache
def installed():
    """The version of NumPy: read from disk once, and not for each of ten thousand tests."""
    return Version(version("numpy"))


@functools.cache
def lacking(numpy):
    """What is skipped with this version, and the reason."""
    return [
        (re.compile(pattern), f"before NumPy {first}: {why}") for first, pattern, why in OLDER if numpy < Version(first)
    ]


def reason(test):
    """Why a test is skipped with the NumPy that is installed here, or None."""
    return next((why for pattern, why in lacking(installed()) if pattern.search(test)), None)
