"""How bad an incident is, as one number: the review desk shows the worst first."""

from __future__ import annotations

from detector.values import IncidentKind, Severity

MOST_LABELS = 10**9
OF_SEVERITY = 10**12  # harm of a severity begins at so many times its number in `_SEVERITIES`

_SEVERITIES: dict[str, int] = {Severity.CRITICAL: 3, Severity.WARNING: 2, Severity.INFO: 1}
# Taking labels, preparing to, hiding, blinding a camera, standing about. Not the order of `alerts/severity.GRAVITY`,
# which says what one incident of several findings is called: a camera's trouble is never one of several. Incidents are
# stored with these numbers: a new kind takes the next, and so comes before all others of its severity and labels. Where
# it should not, a migration counts all incidents anew.
_KINDS: dict[str, int] = {
    IncidentKind.LABEL_PHOTOGRAPHY: 5,
    IncidentKind.ORIENTATION_PATTERN: 4,
    IncidentKind.BLIND_CORNER: 3,
    IncidentKind.TAMPER: 2,
    IncidentKind.LINGERING: 1,
}


def harm(severity: str, labels: int, kind: str) -> int:
    """By severity, then by how many labels were exposed, then by kind; words of edges newer than this count least.

    Of equal ones the newest comes first: whoever did it may still be there. Migration 0006 says the same in SQL, of the
    kinds that there were then.
    """
    return _SEVERITIES.get(severity, 0) * OF_SEVERITY + min(labels, MOST_LABELS) * 100 + _KINDS.get(kind, 0)
