"""What the daemons say to each other over HTTPS: shapes, problems, limits, the pinned client."""
