"""What of NumPy no derivative can pass through: each function with its reason, refused on purpose.

What makes arrays out of sizes, and what asks about types, never meets a tensor with a history; the rest raises
NoRuleError or LostHistoryError where it does, and says this reason.
"""

from ..makers import refused

refused(
    "it makes an array from sizes and plain numbers; that of autodiff.numpy can be written into",
    "arange bartlett blackman diag_indices empty eye fft.fftfreq fft.rfftfreq full fromfunction hamming hanning",
    "identity indices mask_indices ones tri tril_indices triu_indices zeros",
)
refused(
    "it asks each element for a plain number; autodiff.numpy.array takes tensors, and np.stack joins them",
    "array asarray asanyarray asarray_chkfinite ascontiguousarray asfortranarray fromiter require",
)
refused(
    "matrices are a subclass of arrays with rules of their own, which NumPy advises against; use arrays and @",
    "asmatrix bmat matrix",
)
refused(
    "it reads an array from a file, a text or memory: nothing goes in that has a derivative",
    "frombuffer fromfile fromregex fromstring from_dlpack genfromtxt load loadtxt memmap",
)
refused(
    "what is written to a file has lost its history; save after the gradient was taken, or save ad.stop_gradient(x)",
    "save savetxt savez savez_compressed",
)
refused(
    "it makes a text; print(x) and f-strings show a tensor's numbers",
    "base_repr binary_repr format_float_positional format_float_scientific",
)
refused("it works on the bits of integers, and integers have no derivative", "packbits unpackbits")
refused(
    "it counts days, and dates have no derivative",
    "busday_count busday_offset busdaycalendar datetime_as_string datetime_data is_busday",
)
refused(
    "it asks about types and shapes, or about Python objects, not about numbers",
    "broadcast_shapes finfo iinfo isdtype isscalar issubdtype iterable mintypecode promote_types typename",
)
refused(
    "it shows or changes settings of NumPy",
    "errstate geterr geterrcall getbufsize get_include get_printoptions info printoptions set_printoptions setbufsize",
    "seterr seterrcall show_config show_runtime",
)
refused("it runs NumPy's own tests", "fft.test linalg.test test")
refused(
    "it hands out parts of buffers one by one; write array expressions, or loop over x[i]",
    "broadcast flatiter ndenumerate ndindex nditer nested_iters",
)
refused(
    "it turns a Python function into one of Python objects, which have no derivative; use autodiff.numpy.vectorize",
    "frompyfunc",
)
