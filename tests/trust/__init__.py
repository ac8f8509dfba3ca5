"""Trust: what was tried to get a silent wrong number out of this package, and how often.

Each of the files asks one question, on few cases with every commit, on more in CI, and on very many by hand:
`python -m tests.trust` runs them all under the profile `deep` and writes their figures into docs/reliability.md.
"""
