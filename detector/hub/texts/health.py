"""Words about the health of edges and cameras, and gaps."""

ZH: dict[str, str] = {}

EN: dict[str, str] = {}
