"""What a network is: spec, addresses, documents, roster, topology, rules. Pure: no I/O, no clock, no randomness."""
