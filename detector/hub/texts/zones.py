"""Words about zones drawn on a picture."""

ZH: dict[str, str] = {}

EN: dict[str, str] = {}
