"""Meshes, materials, light and rendering in Blender, through its Python wheel `bpy`."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from scenes.camera import Camera
from scenes.parts import MissingPartError
from scenes.vectors import basis, unit

try:
    import bpy
    import mathutils
    import OpenEXR
except ImportError as missing:
    raise MissingPartError(f'{missing}; hint: pip install bpy==4.5.15 "numpy<2" OpenEXR, on Python 3.11') from missing

# Corner numbers x*4 + y*2 + z of a box's faces, and its two in-face axes.
BOX_FACES = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))
TEXTURE, BOARD = 48, (0.4, 0.22, 0.1)  # pixels along a texture as `glimpse` knows it; linear RGB under what is printed
BOX_AXES = ((1, 2), (1, 2), (0, 2), (0, 2), (0, 1), (0, 1))


@dataclass(frozen=True)
class Paint:
    """How a surface looks; equal paints share one material.

    Attributes:
        colour: Linear RGB, multiplied with the texture where there is one.
        texture: Colour texture file.
        drawn: Name of a picture given to `Studio.draw`, instead of a texture file.
        normal: Normal map file.
        shade: Ambient-occlusion file, multiplied in.
        hsv: (hue 0.5 neutral, saturation, value) applied to the texture.
        rough: 0 mirror to 1 matt.
        metal: 0 or 1.
        glow: Emission strength.
        holes: "texture": transparent by its alpha; "cut": where the attribute `cut` isn't positive.
    """

    colour: tuple[float, float, float] = (1.0, 1.0, 1.0)
    texture: Path | None = None
    drawn: str = ""
    normal: Path | None = None
    shade: Path | None = None
    hsv: tuple[float, float, float] | None = None
    rough: float = 0.7
    metal: float = 0.0
    glow: float = 0.0
    holes: str = ""


@dataclass
class Block:
    """A box: full `size`, `centre`, `rotation`."""

    size: tuple
    centre: tuple = (0.0, 0.0, 0.0)
    rotation: np.ndarray = field(default_factory=lambda: np.eye(3))

    def corners(self) -> np.ndarray:
        """`(8, 3)` in the world, numbered x*4 + y*2 + z."""
        grid = np.array([(x, y, z) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
        return (grid * np.asarray(self.size, float)) @ self.rotation.T + np.asarray(self.centre, float)


class Studio:
    """The Blender scene being built: adds meshes and lights, forgets a frame's, renders."""

    def __init__(self) -> None:
        bpy.ops.wm.read_factory_settings(use_empty=True)
        self.scene = bpy.context.scene
        self._materials: dict[Paint, object] = {}
        self._paints: dict[str, Paint] = {}  # by their material's name
        self._textures: dict[Path, np.ndarray] = {}
        self._drawn: dict[str, object] = {}  # pictures by name, and the nodes that show them
        self._shown: dict[str, list] = {}
        self._cameras: dict[Camera, object] = {}
        world = bpy.data.worlds.new("world")
        world.use_nodes = True
        self.scene.world = world
        self._kept: dict[str, set] | None = None

    # ---- building ----

    def mesh(self, name, vertices, faces, paint: Paint, *, uv=None, smooth=False, index=0, cut=None, refine=False):
        """A mesh in world coordinates; `uv` one row per face corner."""
        data = bpy.data.meshes.new(name)
        data.from_pydata(np.asarray(vertices, float).tolist(), [], [list(map(int, f)) for f in faces])
        if uv is not None:
            data.uv_layers.new(name="UV").data.foreach_set("uv", np.asarray(uv, np.float32).ravel())
        if smooth:
            data.polygons.foreach_set("use_smooth", np.ones(len(data.polygons), bool))
        if cut is not None:
            data.attributes.new("cut", "FLOAT", "POINT").data.foreach_set("value", np.asarray(cut, np.float32))
        data.materials.append(self._material(paint))
        thing = bpy.data.objects.new(name, data)
        thing.pass_index = index
        if refine:
            finer = thing.modifiers.new("refine", "SUBSURF")
            finer.render_levels, finer.levels = 1, 0
        self.scene.collection.objects.link(thing)
        return thing

    def blocks(self, name, blocks: list[Block], paint: Paint, *, index=0, bevel=0.0, repeat: float | None = None):
        """Boxes as one mesh; the texture fills each face, or repeats every `repeat` metres."""
        vertices, faces, uv = [], [], []
        for block in blocks:
            start = len(vertices)
            size = np.asarray(block.size, float)
            local = Block(tuple(size)).corners()
            vertices.extend(block.corners())
            for face, axes in zip(BOX_FACES, BOX_AXES, strict=True):
                faces.append([start + i for i in face])
                flat = local[list(face)][:, axes]
                uv.extend(flat / repeat if repeat else flat / size[list(axes)] + 0.5)
        thing = self.mesh(name, vertices, faces, paint, uv=uv, index=index, smooth=bevel > 0)
        if bevel:
            edge = thing.modifiers.new("bevel", "BEVEL")
            edge.width, edge.segments = bevel, 2
            thing.modifiers.new("normals", "WEIGHTED_NORMAL")
        return thing

    def quad(self, name, centre, u, v, paint: Paint, *, index=0, parts=1, bend=None, repeat=(1.0, 1.0)):
        """A rectangle with half-axes `u`, `v`; `bend` moves its points where it lies on a curved surface."""
        centre, u, v = (np.asarray(a, float) for a in (centre, u, v))
        steps = np.linspace(-1, 1, parts + 1)
        points = [centre + u * a + v * b for b in steps for a in steps]
        if bend:
            points = [bend(p) for p in points]
        faces, uv = [], []
        for j in range(parts):
            for i in range(parts):
                k = j * (parts + 1) + i
                faces.append((k, k + 1, k + parts + 2, k + parts + 1))
                for a, b in ((i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1)):
                    uv.append((a / parts * repeat[0], b / parts * repeat[1]))
        return self.mesh(name, points, faces, paint, uv=uv, smooth=parts > 1, index=index)

    def tube(self, name, start, end, radius, paint: Paint, *, index=0, radius_end=None, sides=14, hollow=False):
        """A cylinder or cone between two points, closed unless `hollow`."""
        start, end = np.asarray(start, float), np.asarray(end, float)
        axis = unit(end - start)
        frame = basis(axis, [1, 0, 0] if abs(axis[0]) < 0.9 else [0, 1, 0])
        angles = np.arange(sides) * 2 * np.pi / sides
        ring = np.outer(np.cos(angles), frame[:, 1]) + np.outer(np.sin(angles), frame[:, 2])
        vertices = np.concatenate([start + ring * radius, end + ring * (radius if radius_end is None else radius_end)])
        faces = [(i, (i + 1) % sides, (i + 1) % sides + sides, i + sides) for i in range(sides)]
        if not hollow:
            faces += [tuple(range(sides))[::-1], tuple(range(sides, 2 * sides))]
        return self.mesh(name, vertices, faces, paint, smooth=False, index=index)

    def lamp(self, kind: str, position, power: float, *, size=(0.1, 0.1), colour=(1, 1, 1), spread=120.0, aim=None):
        """A lamp: AREA of `size` metres, SPOT of `spread` degrees or POINT; it looks down unless it has an `aim`."""
        data = bpy.data.lights.new(kind, kind)
        data.energy, data.color = power, colour
        if kind == "AREA":
            data.shape, data.size, data.size_y = "RECTANGLE", *size
        elif kind == "SPOT":
            data.spot_size, data.spot_blend, data.shadow_soft_size = np.radians(spread), 0.9, 0.03
        lamp = bpy.data.objects.new(kind, data)
        lamp.location = position
        if aim is not None:
            towards = mathutils.Vector(np.asarray(aim, float) - np.asarray(position, float))
            lamp.rotation_euler = towards.to_track_quat("-Z", "Y").to_euler()
        self.scene.collection.objects.link(lamp)

    def sky(self, strength: float, colour=(1, 1, 1)) -> None:
        """Even light from everywhere outside."""
        background = self.scene.world.node_tree.nodes["Background"].inputs
        background["Strength"].default_value = strength
        background["Color"].default_value = (*colour, 1)

    def dim(self, lamps: float, glow: float) -> None:
        """Multiply the power of all lamps and of everything that glows."""
        for data in bpy.data.lights:
            data.energy *= lamps
        for material in self._materials.values():
            material.node_tree.nodes["Principled BSDF"].inputs["Emission Strength"].default_value *= glow

    # ---- what moves from frame to frame ----

    def draw(self, name: str, picture) -> None:
        """Give what is painted with a `drawn` picture of that name another one: `(h, w, 3)` 8-bit RGB."""
        height, width = picture.shape[:2]
        image = bpy.data.images.new(name, width, height)
        values = np.ones((height, width, 4), np.float32)
        values[..., :3] = picture[::-1] / np.float32(255)  # from the bottom up
        image.pixels.foreach_set(values.ravel())
        image.update()
        nodes, before = self._shown.setdefault(name, []), self._drawn.get(name)
        for node in nodes:  # of an image that only has other pixels the renderer goes on to show the first
            node.image = image
        if before:
            bpy.data.images.remove(before)
        self._drawn[name] = image

    def objects(self) -> set:
        """All objects there are; the difference of two such sets is what was made between them."""
        return set(bpy.data.objects)

    def reshape(self, thing, vertices) -> None:
        """Give a mesh other vertices `(V, 3)`, in world coordinates."""
        thing.data.vertices.foreach_set("co", np.asarray(vertices, np.float32).ravel())
        thing.data.update()

    def move(self, things, rotation, centre) -> None:
        """Turn and shift objects from where they were made: x becomes `rotation` x + `centre`."""
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = rotation, centre
        for thing in things:
            thing.matrix_world = mathutils.Matrix(matrix.tolist())

    def show(self, things, visible: bool) -> None:
        """Show or hide objects, for the camera and for `is_hit`."""
        for thing in things:
            if thing.hide_render == visible:
                thing.hide_render = thing.hide_viewport = not visible

    # ---- asking ----

    def is_hit(self, start, end) -> bool:
        """Whether anything lies between two points."""
        bpy.context.view_layer.update()
        way = np.asarray(end, float) - np.asarray(start, float)
        hit, *_ = self.scene.ray_cast(
            bpy.context.evaluated_depsgraph_get(),
            mathutils.Vector(start),
            mathutils.Vector(unit(way)),
            distance=float(np.linalg.norm(way)),
        )
        return bool(hit)

    def glimpse(self, lens, frame, view: tuple[float, float], size: tuple[int, int], blind: float) -> np.ndarray:
        """What a camera sees, roughly: linear RGB `(h, w, 3)` by one ray a pixel, everything lit from above.

        Args:
            lens: `(3,)`.
            frame: `(3, 3)` columns: to the picture's right, upwards, backwards.
            view: How much it sees across and along, degrees.
            size: Width and height, pixels.
            blind: Nothing nearer than this is seen, metres.
        """
        bpy.context.view_layer.update()
        graph = bpy.context.evaluated_depsgraph_get()
        right, upper, back = np.asarray(frame, float).T
        wide, high = (np.tan(np.radians(a / 2)) for a in view)
        seen = np.full((size[1], size[0], 3), 0.02, np.float32)
        for row, column in np.ndindex(seen.shape[:2]):
            x, y = 2 * (column + 0.5) / size[0] - 1, 1 - 2 * (row + 0.5) / size[1]
            way = unit(right * x * wide + upper * y * high - back)
            hit, where, normal, face, thing, _ = self.scene.ray_cast(
                graph, mathutils.Vector(lens + way * blind), mathutils.Vector(way), distance=15.0
            )
            if hit:
                colour = self._colour(thing.evaluated_get(graph), face, where)
                seen[row, column] = np.asarray(colour) * (0.4 + 0.6 * max(0.0, normal.z))
        return seen

    def _colour(self, thing, face: int, where) -> np.ndarray:
        """Linear RGB of a mesh at a point of one of its faces."""
        mesh = thing.data
        polygon = mesh.polygons[face]
        paint = self._paints[mesh.materials[polygon.material_index].name]
        colour = np.asarray(paint.colour) * max(1.0, paint.glow)
        if paint.texture is None or not mesh.uv_layers:
            return colour
        corners = [mesh.vertices[i].co for i in polygon.vertices]
        shares = mathutils.interpolate.poly_3d_calc(corners, thing.matrix_world.inverted() @ where)
        layer = mesh.uv_layers.active.data
        u, v = np.asarray(shares) @ [layer[i].uv for i in polygon.loop_indices]
        texture = self._texture(paint.texture)
        height, width = texture.shape[:2]
        return colour * texture[int((1 - v % 1) * height) % height, int(u % 1 * width) % width]

    def _texture(self, file: Path) -> np.ndarray:
        """Linear RGB of a texture file, so small that one of its pixels is the mean of what is around it."""
        if file not in self._textures:
            full = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
            small = cv2.resize(full, (TEXTURE, TEXTURE), interpolation=cv2.INTER_AREA) / np.float32(255)
            linear = np.ascontiguousarray(small[..., 2::-1] ** 2.2)
            if small.shape[2] == 4:  # of what is printed on board the board between
                linear = linear * small[..., 3:] + np.float32(BOARD) * (1 - small[..., 3:])
            self._textures[file] = linear
        return self._textures[file]

    def _material(self, paint: Paint):
        if paint in self._materials:
            return self._materials[paint]
        material = bpy.data.materials.new("paint")
        self._paints[material.name] = paint
        material.use_nodes = True
        # mesh lamps are not sampled: what glows is bright, the lamps beside it light the room
        material.cycles.emission_sampling = "NONE"
        tree = material.node_tree
        nodes, link = tree.nodes, tree.links.new
        surface = nodes["Principled BSDF"].inputs
        surface["Roughness"].default_value = paint.rough
        surface["Metallic"].default_value = paint.metal
        surface["Specular IOR Level"].default_value = 0.35
        surface["Base Color"].default_value = (*paint.colour, 1)
        surface["Emission Color"].default_value = (*paint.colour, 1)
        surface["Emission Strength"].default_value = paint.glow

        def picture(file: Path, *, data: bool):
            node = nodes.new("ShaderNodeTexImage")
            node.image = bpy.data.images.load(str(file), check_existing=True)
            if data:
                node.image.colorspace_settings.name = "Non-Color"
            return node

        def multiplied(a, b, share=1.0):
            mix = nodes.new("ShaderNodeMix")
            mix.data_type, mix.blend_type = "RGBA", "MULTIPLY"
            mix.inputs["Factor"].default_value = share
            link(a, mix.inputs[6])
            if isinstance(b, tuple):
                mix.inputs[7].default_value = (*b, 1)
            else:
                link(b, mix.inputs[7])
            return mix.outputs[2]

        if paint.texture or paint.drawn:
            if paint.drawn:
                node = nodes.new("ShaderNodeTexImage")
                node.image = self._drawn[paint.drawn]
                self._shown[paint.drawn].append(node)
            else:
                node = picture(paint.texture, data=False)
            colour = node.outputs["Color"]
            if paint.hsv:
                shift = nodes.new("ShaderNodeHueSaturation")
                for name, value in zip(("Hue", "Saturation", "Value"), paint.hsv, strict=True):
                    shift.inputs[name].default_value = value
                link(colour, shift.inputs["Color"])
                colour = shift.outputs["Color"]
            if paint.colour != (1.0, 1.0, 1.0):
                colour = multiplied(colour, paint.colour)
            if paint.shade:
                colour = multiplied(colour, picture(paint.shade, data=True).outputs["Color"], 0.7)
            link(colour, surface["Base Color"])
            link(colour, surface["Emission Color"])
            if paint.holes == "texture":
                link(node.outputs["Alpha"], surface["Alpha"])
        if paint.holes == "cut":
            attribute, above = nodes.new("ShaderNodeAttribute"), nodes.new("ShaderNodeMath")
            attribute.attribute_name, above.operation = "cut", "GREATER_THAN"
            above.inputs[1].default_value = 0.0
            link(attribute.outputs["Fac"], above.inputs[0])
            link(above.outputs[0], surface["Alpha"])
        if paint.normal:
            bump = nodes.new("ShaderNodeNormalMap")
            link(picture(paint.normal, data=True).outputs["Color"], bump.inputs["Color"])
            link(bump.outputs["Normal"], surface["Normal"])
        self._materials[paint] = material
        return material

    # ---- what belongs to one frame ----

    def keep(self) -> None:
        """Remember what is there now as the warehouse itself."""
        self._kept = {"objects": set(bpy.data.objects), "materials": set(bpy.data.materials)}

    def clear_frame(self) -> None:
        """Remove all that came after `keep`."""
        for thing in [o for o in bpy.data.objects if o not in self._kept["objects"]]:
            data = thing.data
            bpy.data.objects.remove(thing, do_unlink=True)
            if isinstance(data, bpy.types.Mesh):
                bpy.data.meshes.remove(data)
        new = {m for m in bpy.data.materials if m not in self._kept["materials"]}
        self._materials = {p: m for p, m in self._materials.items() if m not in new}
        for material in new:
            del self._paints[material.name]
            bpy.data.materials.remove(material)
        for image in self._drawn.values():
            bpy.data.images.remove(image)
        self._drawn.clear()
        self._shown.clear()

    # ---- rendering ----

    def use_camera(self, camera: Camera) -> None:
        """Look through a `Camera` (its distortion is applied to the picture afterwards)."""
        if camera not in self._cameras:
            data = bpy.data.cameras.new("camera")
            data.sensor_width, data.angle, data.clip_start = 36, np.radians(camera.fov_deg), 0.05
            thing = self._cameras[camera] = bpy.data.objects.new("camera", data)
            thing.matrix_world = mathutils.Matrix(np.linalg.inv(camera.matrix).tolist())
            self.scene.collection.objects.link(thing)
        self.scene.camera = self._cameras[camera]
        render = self.scene.render
        render.resolution_x, render.resolution_y = camera.size
        render.resolution_percentage = 100

    def set_up(self, threads: int) -> None:
        """Cycles on the CPU, set for speed: see README.md for what each of these saved."""
        scene, cycles = self.scene, self.scene.cycles
        scene.render.engine = "CYCLES"
        cycles.device = "CPU"
        cycles.use_adaptive_sampling, cycles.adaptive_threshold = True, 0.05
        cycles.use_denoising, cycles.denoiser = True, "OPENIMAGEDENOISE"
        cycles.denoising_input_passes, cycles.denoising_prefilter = "RGB_ALBEDO_NORMAL", "FAST"
        cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = 3, 2, 2
        cycles.transmission_bounces, cycles.transparent_max_bounces = 0, 4
        cycles.caustics_reflective = cycles.caustics_refractive = False
        cycles.use_fast_gi, cycles.ao_bounces_render = True, 1
        cycles.use_light_tree = False
        scene.render.threads_mode, scene.render.threads = "FIXED", threads
        scene.render.use_persistent_data = True
        layer = scene.view_layers[0]
        layer.use_pass_object_index = layer.use_pass_z = True
        image = scene.render.image_settings
        image.file_format, image.color_depth, image.exr_codec = "OPEN_EXR_MULTILAYER", "16", "ZIP"

    def render(self, samples: int, scratch: Path, region=None):
        """Linear colour `(h, w, 3)`, object index and depth `(h, w)` of the view or of a pixel region of it.

        Args:
            samples: Rays a pixel.
            scratch: File to pass the result through.
            region: x1, y1, x2, y2 in pixels, or None.

        Raises:
            ValueError: What is passed through `scratch` isn't whole.
        """
        render = self.scene.render
        self.scene.cycles.samples = samples
        render.use_border = render.use_crop_to_border = region is not None
        if region is not None:
            x1, y1, x2, y2 = region
            width, height = render.resolution_x, render.resolution_y
            # Blender cuts the fractions to whole pixels, from the bottom up: half a pixel more keeps rounding out of it
            render.border_min_x, render.border_max_x = (x1 + 0.5) / width, min(1, (x2 + 0.5) / width)
            render.border_min_y = (height - y2 + 0.5) / height
            render.border_max_y = min(1, (height - y1 + 0.5) / height)
        render.filepath = str(scratch)
        bpy.ops.render.render(write_still=True)
        channels = {}
        for part in OpenEXR.File(str(scratch), separate_channels=True).parts:
            channels |= {name: np.asarray(channel.pixels) for name, channel in part.channels.items()}
        scratch.unlink()

        def one(*endings):
            for name, values in channels.items():
                if name.endswith(endings):
                    return values
            # Blender says nothing of what it couldn't write.
            raise ValueError(f"{scratch}: what was rendered isn't whole; hint: make room on this disk")

        colour = np.stack([one(f"Combined.{c}") for c in "RGB"], -1).astype(np.float32)
        return colour, one("IndexOB.X").round().astype(np.int32), one("Depth.Z", "Depth.V").astype(np.float32)


def quiet() -> None:
    """Send Blender's progress, written past Python, to nowhere; Python's own output stays."""
    import sys

    sys.stdout.flush()
    keep = os.fdopen(os.dup(1), "w", buffering=1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    sys.stdout = keep
