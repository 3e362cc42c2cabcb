"""What every provider of machines promises."""
