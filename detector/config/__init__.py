"""The two configuration files, edge and hub: read, checked as a whole, unknown keys refused.

Every problem is found at once and said with file, key, reason and hint (`ConfigError`). Relative paths are relative
to the configuration file. Secrets never stand in the file: a key ending in `_env` names an environment variable, one
ending in `_file` a file that holds the secret.

`edge` and `hub` are the two files as a whole, built from the sections in the modules beside them; `reading` makes them
from text, `checks` asks the machine for the rest.
"""

from detector.config.cameras import Camera, Mounting
from detector.config.checks import check_broker, check_data_dir, check_edge, check_file, check_hub
from detector.config.connections import Broker, HubLink
from detector.config.edge import Analysis, Buffers, EdgeConfig, Incidents, Rest, Supervision
from detector.config.hub import (
    AlarmsConfig,
    Days,
    HomeAssistantConfig,
    HubConfig,
    IntegrationsConfig,
    KeptAs,
    RetentionConfig,
)
from detector.config.named_secrets import secret
from detector.config.reading import load_edge, load_either, load_hub
from detector.config.rules import BlindEdgeRule, LingeringRule, OrientationRule, PhotoRule, Rules, SweepRule, TamperRule
from detector.config.settings import Settings, Share
from detector.config.working_time import DAYS, Calendar, Day, Shift, TimeOfDay
from detector.config.zones import (
    MOST_USUAL,
    WHOLE_FRAME,
    Allowed,
    Exemption,
    Point,
    Policy,
    Zone,
    ZoneKind,
    zones_as_yaml,
)
from detector.names import Name

__all__ = [
    "DAYS",
    "MOST_USUAL",
    "WHOLE_FRAME",
    "AlarmsConfig",
    "Allowed",
    "Analysis",
    "BlindEdgeRule",
    "Broker",
    "Buffers",
    "Calendar",
    "Camera",
    "Day",
    "Days",
    "EdgeConfig",
    "Exemption",
    "HomeAssistantConfig",
    "HubConfig",
    "HubLink",
    "Incidents",
    "IntegrationsConfig",
    "KeptAs",
    "LingeringRule",
    "Mounting",
    "Name",
    "OrientationRule",
    "PhotoRule",
    "Point",
    "Policy",
    "Rest",
    "RetentionConfig",
    "Rules",
    "Settings",
    "Share",
    "Shift",
    "Supervision",
    "SweepRule",
    "TamperRule",
    "TimeOfDay",
    "Zone",
    "ZoneKind",
    "check_broker",
    "check_data_dir",
    "check_edge",
    "check_file",
    "check_hub",
    "load_edge",
    "load_either",
    "load_hub",
    "secret",
    "zones_as_yaml",
]
