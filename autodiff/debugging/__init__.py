"""What `ad.debug()` does: a recorder that keeps everything, rules that are watched, and the search for a nan's maker.

Nothing is looked at while the numbers are finite. A call that is being debugged is recorded in full; when its results
are there they are asked once whether they are finite, and only where they are not the record is searched, from the
result back, for the first operation that made what reached it.
"""

from .recorder import DebugTrace
from .session import Session, full, is_floating, lean

__all__ = ["DebugTrace", "Session", "full", "is_floating", "lean"]
