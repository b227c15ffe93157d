"""Words about cases, evidence packs, shareable copies."""

ZH: dict[str, str] = {}

EN: dict[str, str] = {}
