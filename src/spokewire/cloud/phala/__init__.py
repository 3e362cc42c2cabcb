"""Nodes as confidential virtual machines (CVMs) on Phala Cloud."""
