"""Words about the review desk."""

ZH: dict[str, str] = {}

EN: dict[str, str] = {}
