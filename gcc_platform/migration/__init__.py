"""Moves the old PostgreSQL log tables to the platform: every row is in its raw table once, or has a reason why not.

A snapshot has one identity and one time on both sides, by whatever way it came. So every way of moving it may overlap
with every other, be repeated, and be killed.
"""
