"""How many cases a test goes through, by the profile that it runs under."""

import os


def times(quick, full, deep):
    """One of three numbers: for every commit, for CI, for a long look by hand."""
    return {"quick": quick, "full": full, "deep": deep}[os.environ.get("AUTODIFF_PROFILE") or "quick"]
