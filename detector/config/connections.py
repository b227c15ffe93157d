"""Where an edge or a hub connects to."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field, field_validator

from detector.config.addresses import bare_host, split_address
from detector.config.named_secrets import secret
from detector.config.settings import Settings
from detector.machine.secrecy import without_login


class Broker(Settings):
    """Where the MQTT broker is."""

    host: str = Field("127.0.0.1", pattern=r"^[^\s/]+$", description="its name or address alone")
    port: int = Field(1883, ge=1, le=65535)
    username: str | None = None
    password_env: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = Field(None, description="CA certificate; set it to speak TLS")
    cert_file: Path | None = None
    key_file: Path | None = None

    _is_bare = field_validator("host")(bare_host)

    def password(self) -> str | None:
        """The password from environment or file; `None` when none is configured."""
        return secret(self.password_env, self.password_file)


class HubLink(Settings):
    """Where clips go."""

    url: str | None = Field(
        None, description="address of the hub, e.g. http://10.0.0.2:8080; none yet: clips wait here"
    )
    ca_file: Path | None = Field(None, description="certificate that vouches for the hub: its lan/ca.crt with --lan")

    @field_validator("url")
    @classmethod
    def _is_web_address(cls, url: str | None) -> str | None:
        if url is not None and not re.match(r"https?://[^/\s]", url):
            raise ValueError("must begin with http:// or https://")
        if url is not None and without_login(url) != url:
            raise ValueError("a user name or password stands in the URL")
        if url is not None:
            split_address(url, "hub")
        return url
