"""Draw the pictures of the documents anew, by running the documents. `make pictures` runs this.

A document's picture is what its own code draws: where a page shows ``images/name.svg``, its blocks write ``name.svg``.
"""

import os
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run as a file, Python would look beside it

from tests.test_documents import DOCUMENTS, IMAGES, blocks, pictures, run_block  # noqa: E402

if __name__ == "__main__":
    warnings.simplefilter("error")
    for document in DOCUMENTS:
        if not (pictures(document) and blocks(document)):
            continue
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            namespace = {"__name__": "document"}
            for code, line in blocks(document):
                run_block(code, f"{document}:{line}", namespace)
            for name in pictures(document):
                shutil.copy(name, IMAGES)
                print(document, name)
            os.chdir(ROOT)
