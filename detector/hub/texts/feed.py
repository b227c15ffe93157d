"""Words about the feed, the day at a glance, the weeks."""

ZH: dict[str, str] = {}

EN: dict[str, str] = {}
