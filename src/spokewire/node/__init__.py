"""The node's agent: status server, sync, reconcile, echo, proof."""
