"""Benchmarks: measured on the machine at hand, printed as the tables of docs/benchmarks.md. Never part of a test that can flake."""
