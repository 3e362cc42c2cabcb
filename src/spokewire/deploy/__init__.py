"""From spec to machines: plan (pure), apply, inventory, and what the operator keeps."""
