"""Draw the picture of the README anew, by running its first block. `make pictures` runs this."""

import os
import re
from pathlib import Path

DOCS = Path(__file__).resolve().parent

if __name__ == "__main__":
    text = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    code = re.search(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert code is not None, "the README has no code"
    os.chdir(DOCS / "images")
    exec(compile(code.group(1), "README.md", "exec"), {"__name__": "README"})
    print(*sorted(DOCS.glob("images/*")), sep="\n")
