"""Measures this backend beside its alternatives, all in one run: ``python -m benchmarks``.

Not part of the package. docs/performance.md describes the method and the results.
"""
