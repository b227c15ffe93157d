"""4 · What it means: a `Scene` enters each rule, `Signal`s leave.

A rule is a pure question (`geometry.py`, or of its own module), a step from one state to the next, and a memory of
states by track (`rules/memory.py`) or zone. What must be kept from people's eyes is seen to (`Judge`), and so are leaps
of time: a rule is made anew after one, and whatever it learned in days is handed on if it is a `Learner`. To write one:

1. A class with `observe(scene) -> Iterable[Signal]` in a module here, made in `assembly.py` (`_stages`); its tests in
   `tests/rules`, of scenes from `tests/builders.py`. A signal tells its finding from the beginning each time it grows.
2. Numbers that a site may set: a section in `config/rules.py`, named in `Rules` there and by `config/__init__.py`; what
   each means in `configs/site.yaml`, and what follows from it in `tools/explain.py`.
3. Findings of a new kind: `IncidentKind` in `values.py`; how grave it is in `alerts/severity.py`, and for the order of
   the review desk in `hub/storage/harm.py`; its name and sentence in `sentences.py` (`KIND_NAMES`, `clauses`), advice
   in `hub/texts/basic.py`, topic in `hub/integrations/onvif.py`.
4. Facts of a new name: in the table of `facts.py`, and `fact_NAME` in `hub/texts/basic.py`.

Most of what was forgotten `tests/test_kinds.py`, `tests/test_facts.py`, `tests/test_config.py` and
`tests/test_explain.py` name.
"""
