"""Other systems are told over MQTT what the hub knows: Home Assistant, and whoever takes ONVIF's JSON events.

    database ─ world ─ home_assistant, onvif ─ link ─ broker        commands: broker ─ link ─ switches ─ database

All off by default. `world` reads how things stand, the two publishers make topics and payloads of it and know nothing
of MQTT, and `link` keeps a broker at that. Its thread and its connection are its own: no broker, no command and no
error here reaches the intake of alerts.
"""
