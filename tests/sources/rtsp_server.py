"""A camera for tests: serves one H.264 or H.265 file endlessly by RTSP, with or without digest authentication.

Run by the system's Python, which has GStreamer: rtsp_server.py PORT FILE FPS tcp|udp [USER PASSWORD]. Prints `ready`.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402


def stamp(paced: Gst.Element) -> None:
    """Have every picture say when it is shown, which a bare stream does not: without B-frames when it is decoded."""

    def show(_: Gst.Pad, info: Gst.PadProbeInfo) -> Gst.PadProbeReturn:
        picture = info.get_buffer()
        picture.pts = picture.dts
        return Gst.PadProbeReturn.OK

    paced.get_static_pad("sink").add_probe(Gst.PadProbeType.BUFFER, show)


def main() -> None:
    """Serve until killed."""
    port, path, fps, transport, *login = sys.argv[1:]
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    factory = GstRtspServer.RTSPMediaFactory()
    codec = "h265" if path.endswith("265") else "h264"
    caps = f"video/x-{codec},stream-format=byte-stream,alignment=au,framerate={fps}/1"
    factory.set_launch(
        f'( multifilesrc location="{path}" loop=true caps={caps} ! {codec}parse ! identity name=paced sync=true '
        f"! rtp{codec}pay name=pay0 pt=96 config-interval=-1 )"
    )
    factory.set_protocols(GstRtsp.RTSPLowerTrans.UDP if transport == "udp" else GstRtsp.RTSPLowerTrans.TCP)
    factory.set_shared(True)
    factory.connect("media-configure", lambda _, media: stamp(media.get_element().get_by_name("paced")))
    if login:
        auth = GstRtspServer.RTSPAuth()
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "viewer")
        auth.add_digest(login[0], login[1], token)
        server.set_auth(auth)
        structure = Gst.Structure.new_from_string(
            "viewer, media.factory.access=(boolean)true, media.factory.construct=(boolean)true"
        )
        permissions = GstRtspServer.RTSPPermissions()
        permissions.add_role_from_structure(structure)
        factory.set_permissions(permissions)
    server.get_mount_points().add_factory("/cam", factory)
    server.attach(None)
    print("ready", flush=True)
    GLib.MainLoop().run()


main()
