"""4 · What it means: a `Scene` enters each rule, `Signal`s leave.

A rule is a pure question (`geometry`, `statistics` of its module), a step from one state to the next, and a memory of
states by track or zone. To write one: a class with `observe(scene) -> Iterable[Signal]`, built in `assembly.py`.
"""
