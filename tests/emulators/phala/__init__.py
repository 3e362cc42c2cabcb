"""Phala Cloud's API in memory."""
