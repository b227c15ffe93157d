"""Train the scene model from a COCO YOLO11n on the tiles of `dataset.py`.

    python models/train.py --tiles OUT [OUT ...] --start yolo11n-coco.pt --epochs 12 --run RUN

The network is YOLO11n with nine score channels: the five published classes, then four traits that speak only where
their object is: *up* and *not up* of a parcel, *photo* and *call* of a phone. Three things differ from stock training:

- **Unmarked is unknown.** The classification loss of a class is dropped on pictures of a source that does not mark
  it (`dataset.KNOWN_CLASSES`), so a courier's unmarked phone is never taught to be background.
- **Facing and use are traits, not classes.** A parcel of any facing is a positive of *parcel*; on its positive anchors
  alone the facing channels learn 1/0, 0/1 or, where nobody could tell, 0/0. Likewise a phone and its use. Only rendered
  pictures, whose truth is exact, teach traits.
- **COCO's class branch is kept.** The 80-class output layer is cut down to the rows of the nearest COCO class.

Needs the extra `train`. Two threads do about 10 tiles a second on two 2024 server cores.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from dataset import (
    KNOWN_CLASSES,
    PARCEL,
    PARCEL_NOT_UP,
    PARCEL_UP,
    PHONE,
    PHONE_CALL,
    PHONE_PHOTO,
)  # fmt: skip
from torch import nn
from ultralytics import YOLO
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.utils.loss import v8DetectionLoss
from ultralytics.utils.tal import make_anchors

CHANNELS = 9
FIRST_TRAIT = 5
# Published class of each written label id.
PUBLISHED = [0, 1, 2, 3, 4, PARCEL, PARCEL, PHONE, PHONE, PHONE]
# Trait channel, the label id that makes it 1, and the class on whose anchors it is learnt.
TRAITS = [(5, PARCEL_UP, PARCEL), (6, PARCEL_NOT_UP, PARCEL), (7, PHONE_PHOTO, PHONE), (8, PHONE_CALL, PHONE)]
# Phones are few beside parcels, and their use decides what is an alert.
TRAIT_WEIGHT = {PARCEL: 0.25, PHONE: 1.0}
# Row of the COCO-80 output layer each channel starts from: person, cell phone, remote, suitcase, book; traits likewise.
COCO_ROWS = [0, 67, 65, 28, 73, 28, 28, 67, 67]


class SceneLoss(v8DetectionLoss):
    """YOLO loss with unknown classes masked per picture and facing learnt as an attribute of parcels."""

    def get_assigned_targets_and_loss(self, preds, batch):
        """Box, class and DFL loss as in the parent class, with the class part as this module's docstring says."""
        distribution = preds["boxes"].permute(0, 2, 1).contiguous()
        scores = preds["scores"].permute(0, 2, 1).contiguous()
        anchors, strides = make_anchors(preds["feats"], self.stride, 0.5)
        size = torch.tensor(preds["feats"][0].shape[2:], device=self.device, dtype=scores.dtype) * self.stride[0]
        rows = torch.cat((batch["batch_idx"].view(-1, 1), batch["cls"].view(-1, 1), batch["bboxes"]), 1)
        targets = self.preprocess(rows.to(self.device), scores.shape[0], scale_tensor=size[[1, 0, 1, 0]])
        written, boxes = targets.split((1, 4), 2)
        published = torch.tensor(PUBLISHED, device=self.device)[written.long()].to(written)
        valid = boxes.sum(2, keepdim=True).gt_(0.0)
        predicted = self.bbox_decode(anchors, distribution)
        _, target_boxes, target_scores, positive, index = self.assigner(
            scores.detach().sigmoid(),
            (predicted.detach() * strides).type(boxes.dtype),
            anchors * strides,
            published,
            boxes,
            valid,
        )
        total = target_scores.sum().clamp_(min=1)
        weight = torch.stack([self.known(name) for name in batch["im_file"]])[:, None].expand_as(scores).clone()
        weight[..., FIRST_TRAIT:] = 0.0
        if written.shape[1]:
            own = torch.where(positive, written[..., 0].gather(1, index), -1.0)
            of_class = torch.where(positive, published[..., 0].gather(1, index), -1.0)
            rendered = torch.tensor(
                [source_of_tile(name) == "rendered" for name in batch["im_file"]], device=self.device
            )
            for channel, written_id, class_id in TRAITS:
                target_scores[..., channel] = (own == written_id).to(target_scores)
                weight[..., channel] = TRAIT_WEIGHT[class_id] * ((of_class == class_id) & rendered[:, None])
        loss = torch.zeros(3, device=self.device)
        loss[1] = (self.bce(scores, target_scores.to(scores.dtype)) * weight).sum() / total
        class_only = target_scores.clone()
        class_only[..., FIRST_TRAIT:] = 0.0
        loss[0], loss[2] = self.bbox_loss(
            distribution, predicted, anchors, target_boxes / strides, class_only, total, positive, size, strides
        )
        loss *= torch.tensor([self.hyp.box, self.hyp.cls, self.hyp.dfl], device=self.device)
        assigned = (positive, index, target_boxes, anchors, strides)
        return assigned, loss, dict(zip(self.loss_names, loss.detach(), strict=True))

    def known(self, name: str) -> torch.Tensor:
        """Weights `(9,)` of a picture's channels: 1 where its source marks the class; traits are weighted elsewhere."""
        known = KNOWN_CLASSES[source_of_tile(name)]
        return torch.tensor([float(k in known) for k in range(CHANNELS)], device=self.device)


def source_of_tile(name: str) -> str:
    """Source that a tile's file name starts with."""
    return Path(name).name.split("--")[0]


class SceneTrainer(DetectionTrainer):
    """Stock training loop on a network that was cut to `CHANNELS`; judging is `evaluate.py`'s."""

    def get_model(self, cfg=None, weights=None, verbose=True):  # noqa: ARG002 - the parent's signature
        """The starting network itself, its class branch cut to `CHANNELS` unless it already is."""
        head = weights.model[-1]
        if head.nc != CHANNELS:
            cut_head(head)
        weights.nc = CHANNELS
        weights.names = self.data["names"]
        for parameter in weights.parameters():
            parameter.requires_grad = True
        return weights.float()

    def validate(self):
        """Nothing: no threshold or epoch is chosen on a stock metric here."""
        return {}, 0.0

    def final_eval(self):
        """Nothing: see `validate`."""


def cut_head(head: nn.Module) -> None:
    """Keep of the 80-class output layers the rows `COCO_ROWS`, in place."""
    for branch in head.cv3:
        old = branch[-1]
        new = nn.Conv2d(old.in_channels, CHANNELS, 1)
        new.weight.data = old.weight.data[COCO_ROWS].clone()
        new.bias.data = old.bias.data[COCO_ROWS].clone()
        branch[-1] = new
    head.nc, head.no = CHANNELS, CHANNELS + 4 * head.reg_max


def main() -> None:
    """Train and leave `weights/last.pt` (the moving average) under the run folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiles", type=Path, nargs="+", required=True)
    parser.add_argument("--start", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.run.mkdir(parents=True, exist_ok=True)
    names = ["person", "phone", "scanner", "parcel", "label", "up", "not_up", "photo", "call", "read"]
    folders = [str((folder / "images").resolve()) for folder in args.tiles]
    recipe = args.run / "data.yaml"
    recipe.write_text(f"train: {folders}\nval: {folders[:1]}\nnames: {names}\n")

    def use_scene_loss(trainer):
        torch.set_num_threads(args.threads)
        trainer.model.criterion = SceneLoss(trainer.model)

    model = YOLO(str(args.start), task="detect")
    model.add_callback("on_train_start", use_scene_loss)
    model.train(
        trainer=SceneTrainer, data=str(recipe), epochs=args.epochs, imgsz=416, batch=16, device="cpu", workers=0,
        optimizer="AdamW", lr0=args.rate, lrf=0.02, cos_lr=True, warmup_epochs=0.5, weight_decay=5e-4, amp=False,
        mosaic=0.0, scale=0.35, translate=0.1, fliplr=0.5, hsv_h=0.02, hsv_s=0.6, hsv_v=0.4, val=False, plots=False,
        project=str(args.run.parent.resolve()), name=args.run.name, exist_ok=True, seed=1, save_period=1,
    )  # fmt: skip


if __name__ == "__main__":
    main()
