"""WireGuard on this machine: the wg tool, devices, wanted against observed (pure)."""
