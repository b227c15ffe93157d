"""Clothes, hair, vests and gloves for a body, from MakeHuman's assets folder."""

from __future__ import annotations

import functools
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scenes.body import Body, Shape, Surface, base_mesh, read_obj, to_metres

# Outfits that someone in a warehouse might wear; the names are the assets' own.
OUTFITS = {
    "male": (
        "male_casualsuit02",
        "male_casualsuit03",
        "male_casualsuit04",
        "male_casualsuit05",
        "male_casualsuit06",
        "male_worksuit01",
    ),
    "female": (
        "female_casualsuit01",
        "male_casualsuit02",
        "male_casualsuit05",
        "male_casualsuit06",
        "female_sportsuit01",
        "male_worksuit01",
    ),
}
# Longer hair is bound to the head alone and would stick out of one who bends.
HAIR = {"male": ("short01", "short02", "short03", "short04"), "female": ("bob02", "ponytail01", "short02")}
SHOES = ("shoes02", "shoes04", "shoes05", "shoes06")
VESTS = ("yellow", "orange", "navy", "red", "grey", "lime", "sky")


@dataclass(frozen=True)
class Garment:
    """A garment's binding to the base mesh (`.mhclo`): each vertex lies on a triangle of the body, plus an offset."""

    triangles: np.ndarray
    shares: np.ndarray
    offsets: np.ndarray
    scales: dict
    hides: frozenset
    obj: Path


@functools.cache
def read_garment(path: Path) -> Garment:
    """Read a `.mhclo` file."""
    rows, scales, hides, section, obj = [], {}, set(), "", None
    for line in path.read_text(errors="replace").splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] == "obj_file":
            obj = path.parent / words[1]
        elif words[0] in ("x_scale", "y_scale", "z_scale"):
            scales["xyz".index(words[0][0])] = (int(words[1]), int(words[2]), float(words[3]))
        elif words[0] in ("verts", "delete_verts"):
            section = words[0]
        elif section == "verts" and words[0].lstrip("-").isdigit():
            if len(words) == 1:  # on a vertex of the body
                rows.append([int(words[0]), 0, 0, 1, 0, 0, 0, 0, 0])
            else:
                row = [float(w) for w in words[:9]]
                rows.append(row + [0.0] * (9 - len(row)))
        elif section == "delete_verts":
            hides |= read_ranges(line)
    table = np.array(rows, float)
    return Garment(table[:, :3].astype(int), table[:, 3:6], table[:, 6:9], scales, frozenset(hides), obj)


def read_ranges(line: str) -> set[int]:
    """Numbers of a line like `1 - 4 7 9 - 10`."""
    words, numbers, i = line.replace("-", " - ").split(), set(), 0
    while i < len(words):
        if i + 2 < len(words) and words[i + 1] == "-":
            numbers.update(range(int(words[i]), int(words[i + 2]) + 1))
            i += 3
        else:
            if words[i].isdigit():
                numbers.add(int(words[i]))
            i += 1
    return numbers


def fitted(body: Body, path: Path, kind: str) -> Surface:
    """A garment fitted to the body, following its bones (hair and eyes: the head alone)."""
    garment = read_garment(path)
    offsets = garment.offsets.copy()
    for axis, (a, b, length) in garment.scales.items():
        offsets[:, axis] *= abs(body.raw[a, axis] - body.raw[b, axis]) / length
    raw = (body.raw[garment.triangles] * garment.shares[..., None]).sum(1) + offsets
    weights = (base_mesh().weights[garment.triangles] * np.clip(garment.shares, 0.01, 1)[..., None]).sum(1)
    weights /= np.maximum(weights.sum(1, keepdims=True), 1e-9)
    if kind in ("hair", "eye", "cap"):
        weights[:] = 0
        weights[:, body.number["head"]] = 1
    _, uv, faces, uv_faces, _ = read_obj(garment.obj)
    textures = {}
    for use, pattern in (
        ("colour", "*diffuse*.png"),
        ("colour", "*texture*.png"),
        ("normal", "*normal*.png"),
        ("ao", "*ao*.png"),
    ):
        found = sorted(path.parent.glob(pattern))
        if found and use not in textures:
            textures[use] = found[0]
    return Surface(kind, to_metres(raw) - [0, 0, body.floor], faces, uv, uv_faces, weights.astype(np.float32), textures)


def vest(body: Body, cloth: Surface) -> Surface:
    """A sleeveless work vest: the torso of a garment, pushed out, cut off at shoulders and hips."""
    torso = sum(cloth.weights[:, body.number[n]] for n in ("spine_01", "spine_02", "spine_03", "pelvis"))
    torso = torso + 0.6 * (cloth.weights[:, body.number["clavicle_l"]] + cloth.weights[:, body.number["clavicle_r"]])
    hem = body.joint["pelvis"][2] + 0.02
    keep = (torso > 0.25) & (cloth.vertices[:, 2] > hem - 0.06)
    vertices = cloth.vertices + normals(cloth.vertices, cloth.faces) * 0.012
    faces = [f for f in cloth.faces if keep[list(f)].any()]
    collar = cloth.vertices[keep][:, 2].max()
    around = np.arctan2(vertices[:, 0], -vertices[:, 1]) / (2 * np.pi) + 0.5
    uv = np.stack([around, (vertices[:, 2] - hem) / (collar - hem)], 1)
    cut = np.minimum((torso - 0.6) * 3, (cloth.vertices[:, 2] - hem) / 0.06)
    return Surface("vest", vertices, faces, uv, faces, cloth.weights, cut=cut)


def gloves(body: Body) -> Surface:
    """Work gloves: the skin of both hands, a little thicker."""
    base = base_mesh()
    names = [n for n in body.bones if n.startswith(("hand_", "index_", "middle_", "ring_", "pinky_", "thumb_"))]
    hand = base.weights[:, [body.number[n] for n in names]].sum(1) > 0.35
    faces = [i for i, f in enumerate(base.faces) if hand[f].any()]
    thick = body.rest + normals(body.rest, base.faces) * 0.0028
    return Surface(
        "glove", thick, [base.faces[i] for i in faces], base.uv, [base.uv_faces[i] for i in faces], base.weights
    )


def normals(vertices, faces) -> np.ndarray:
    """Unit normals `(V, 3)` at vertices, areas weighing."""
    a, b, c = (vertices[[face[k] for face in faces]] for k in range(3))
    total = np.zeros_like(vertices)
    around = np.repeat(np.cross(b - a, c - a), [len(face) for face in faces], axis=0)
    np.add.at(total, np.concatenate(faces), around)
    return total / (np.linalg.norm(total, axis=1, keepdims=True) + 1e-9)


def dressed_person(assets: Path, rng: random.Random) -> Body:
    """Someone to work in the warehouse: body, skin, eyes, hair, outfit, shoes; often a vest, sometimes gloves."""
    gender = rng.choice(["male", "male", "female"])
    body = Body(
        Shape(
            gender,
            age=rng.uniform(0.45, 0.8),
            muscle=rng.uniform(0.3, 0.7),
            weight=rng.uniform(0.3, 0.8),
            height=rng.uniform(0.35, 0.65),
            descent={"asian": 0.85, "caucasian": 0.15},
        )
    )
    skins = [f"young_asian_{gender}", f"middleage_asian_{gender}", f"young_caucasian_{gender}"]
    found = [file for name in skins for file in sorted((assets / "skins" / name).glob("*.png"))[:1]]
    skin = body.surfaces[0]
    if found:
        skin.textures["colour"] = rng.choice(found)
    outfit, shoes, hair = rng.choice(OUTFITS[gender]), rng.choice(SHOES), rng.choice(HAIR[gender])
    hidden: set[int] = set()
    for kind, folder, name in (
        ("cloth", "clothes", outfit),
        ("shoe", "clothes", shoes),
        ("hair", "hair", hair),
        ("eye", "eyes", "low-poly"),
    ):
        path = next(iter(sorted((assets / folder / name).glob("*.mhclo"))), None)
        if path is None:
            continue
        body.surfaces.append(fitted(body, path, kind))
        if kind in ("cloth", "shoe"):
            hidden |= read_garment(path).hides
    visible = [i for i, face in enumerate(skin.faces) if not all(v in hidden for v in face)]
    skin.faces, skin.uv_faces = [skin.faces[i] for i in visible], [skin.uv_faces[i] for i in visible]
    if rng.random() < 0.5:
        body.surfaces.append(vest(body, next(s for s in body.surfaces if s.kind == "cloth")))
    if rng.random() < 0.25:
        body.surfaces.append(gloves(body))
    return body
