"""``python -m tests.peers`` writes docs/disagreements.md; ``--check`` compares; ``--coverage`` prints who has what."""

import sys

from tests.peers import coverage, page
from tests.peers.engines import installed


def main(arguments):
    """The exit code: 1 where the page is stale or no reason is given for a row."""
    if "--coverage" in arguments:
        print(coverage.as_text(coverage.judged(installed(*coverage.PEERS))))
        return 0
    text = page.make()
    if "--check" in arguments:
        fresh = page.PAGE.read_text(encoding="utf-8") == text
        print("fresh" if fresh else f"{page.PAGE} is stale: run python -m tests.peers")
        return 0 if fresh else 1
    page.PAGE.write_text(text, encoding="utf-8")
    print(f"wrote {page.PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
