"""The hub's daemon: document store, API, tunnel, firewall."""
