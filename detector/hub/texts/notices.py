"""Words about notifications."""

ZH: dict[str, str] = {}

EN: dict[str, str] = {}
