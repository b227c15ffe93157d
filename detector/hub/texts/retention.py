"""Words about what is kept how long."""

ZH: dict[str, str] = {}

EN: dict[str, str] = {}
