"""4 · What it means: a `Scene` enters each rule, `Signal`s leave.

A rule is a pure question (`geometry.py`, or of its own module), a step from one state to the next, and a memory of
states by track (`rules/memory.py`) or zone. What must be kept from people's eyes is seen to (`Judge`), and so are leaps
of time: a rule is made anew after one, and whatever it learned in days is handed on if it is a `Learner`. To write one:

1. A class with `observe(scene) -> Iterable[Signal]` in a module here, made in `assembly.py` (`_stages`); its tests in
   `tests/rules`, of scenes from `tests/builders.py`. A signal tells its finding from the beginning each time it grows;
   `telling.py` says when that is due (of what isn't, `withheld` tells where all ends), and
   `alerts/incidents.py` which incident it belongs to.
2. Numbers that a site may set: a section in `config/rules.py`, named in `Rules` there and by `config/__init__.py`; what
   each means in `configs/site.yaml`, and what follows from it in `tools/explain.py`.
3. Settings of a zone: `Zone` in `config/zones.py`; shown and explained in the same two files. Where some kinds of zone
   can't have it, `contradictions.py` says so, its code with texts in `wire/refusals.py` and `hub/texts/zones.py`, and
   `NOT_FOR` in `hub/edges/drafts.py` takes it from a zone that becomes of such a kind on the hub's page, which keeps it
   otherwise.
4. Findings of a new kind: `IncidentKind` in `values.py`; how grave it is in `alerts/severity.py`, and for the order of
   the review desk in `hub/storage/harm.py`; its name and sentence in `sentences.py` (`KIND_NAMES`, `clauses`), advice
   in `hub/texts/basic.py`, topic in `hub/integrations/onvif.py`. Where one incident may hold several of them by turns,
   `SEVERAL` in `alerts/merging.py`, or the last one's facts replace those before.
5. Facts of a new name: in the table of `facts.py`, and `fact_NAME` in `hub/texts/basic.py`.
6. What people are to know of it: `README.md` and `README.zh-CN.md`.

Most of what was forgotten `tests/test_kinds.py`, `tests/test_facts.py`, `tests/test_config.py`,
`tests/test_explain.py`, `tests/test_pipeline.py` and `tests/hub/test_texts.py` name.
"""
