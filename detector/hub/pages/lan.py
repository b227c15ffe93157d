"""How a phone comes to trust this hub: the certificate of its own authority, where it has one (`--lan`)."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import Response

from detector.hub.lan import Certificate
from detector.hub.pages.view import Anybody, View

router = APIRouter()


@router.get("/certificate")
def certificate_page(view: Anybody) -> Response:
    """What to install on a phone, and how to see that it is the right one."""
    return view.page("certificate.html", fingerprint=_certificate(view).fingerprint)


@router.get("/labelwatch-ca.crt")
def authority(view: Anybody) -> Response:
    """The authority's certificate, as phones and edges take it."""
    return Response(_certificate(view).authority.read_bytes(), media_type="application/x-x509-ca-cert")


def _certificate(view: View) -> Certificate:
    if view.parts.certificate is None:
        raise HTTPException(404)
    return view.parts.certificate
