"""The command line: one file per noun, output in one place."""
