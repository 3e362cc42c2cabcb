"""The network on one computer: world, machines, NAT routers, faults; a provider like any cloud."""
