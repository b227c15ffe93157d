"""4 · What it means: a `Scene` enters each rule, `Signal`s leave.

A rule is a pure question (`geometry`, `statistics` of its module), a step from one state to the next, and a memory of
states by track or zone. To write one: a class with `observe(scene) -> Iterable[Signal]`, made in `assembly._stages`.
What must be kept from people's eyes is seen to (`Judge`), and so are leaps of time: a rule is made anew after one, and
whatever it learned in days is handed on if it is a `Learner`. Numbers that a site may set stand in `config/rules.py`.

A rule whose findings are of a new kind has that kind told in these places, and `tests/test_kinds.py` names those left:
`values.IncidentKind` and `config.IncidentKindName`; how grave it is (`alerts/severity.py`, and `hub/harm.py` for the
order of the review desk); its name (`sentences.KIND_NAMES`), sentence (`sentences.clauses`) and advice
(`hub/texts/basic.py`). What it tells beside stands in `facts.FACTS`.
"""
