"""`make bench-relay`: the sealed relay beside its rivals, measured in turns in the same run, printed as the tables of docs/benchmarks.md."""
