"""What training minimises: YOLO's loss with unknown classes masked, traits on their owners, and a teacher's say."""

from __future__ import annotations

import torch
from looks import OWNER, Batch
from teacher import TAUGHT, Taught
from torch import nn
from ultralytics.utils.loss import v8DetectionLoss
from ultralytics.utils.tal import make_anchors

from detector.values import LABELS

# A crowd of parcels and labels shall not drown the few people and phones, whose traits decide what is an alert.
TRAIT_WEIGHT = {"parcel": 0.5, "phone": 2.0, "person": 3.0, "label": 1.0}
LEAST_TAUGHT = 4.0  # anchors: what the teacher says of fewer weighs less
LEAST_SURE = 0.1  # a teacher less sure of any object has no box to teach


class SceneLoss(v8DetectionLoss):
    """YOLO loss with unknown classes masked and traits learnt on their owners; see the docstring of `train.py`."""

    def measure(self, predictions, batch: Batch, taught_by: Taught | None = None) -> torch.Tensor:
        """Box, class (with traits) and DFL loss of one batch, `(3,)`, weighted and averaged per picture."""
        predictions = self.parse_output(predictions)
        distribution = predictions["boxes"].permute(0, 2, 1).contiguous()
        scores = predictions["scores"].permute(0, 2, 1).contiguous()
        anchors, strides = make_anchors(predictions["feats"], self.stride, 0.5)
        size = torch.tensor(predictions["feats"][0].shape[2:], device=self.device, dtype=scores.dtype) * self.stride[0]
        classes, boxes, traits, doubtful, known, proposed = (
            torch.from_numpy(a).to(self.device)
            for a in (batch.classes, batch.boxes, batch.traits, batch.doubtful, batch.known, batch.proposed)
        )
        taught = (boxes.sum(2, keepdim=True) > 0) & ~doubtful[..., None]
        predicted = self.bbox_decode(anchors, distribution)
        _, target_boxes, targets, positive, index = self.assigner(
            scores.detach().sigmoid(),
            predicted.detach() * strides,
            anchors * strides,
            classes[..., None],
            boxes,
            taught,
        )
        total = targets.sum().clamp(min=1)
        places = anchors * strides
        weight = known[:, None].expand(-1, scores.shape[1], -1).to(scores)
        weight = weight * ~self._in_doubt(places, boxes, classes, doubtful)
        # What a person marked is learnt even where its class isn't marked completely.
        by_person = ~proposed.gather(1, index)[..., None]
        weight = torch.maximum(weight, (by_person & (targets[..., : len(LABELS)] > 0)).to(weight))
        own_class = torch.where(positive, classes.gather(1, index), -1)
        own_traits = traits.gather(1, index[..., None].expand(-1, -1, traits.shape[2]))
        trait_weight = torch.zeros_like(own_traits)
        for label, channels in OWNER.items():
            mine = (own_class == LABELS.index(label))[..., None] & ~own_traits[..., channels].isnan()
            trait_weight[..., channels] = TRAIT_WEIGHT[label] * mine
        loss = torch.zeros(3, device=self.device)
        n = len(LABELS)
        loss[1] = (self.bce(scores[..., :n], targets[..., :n].to(scores)) * weight).sum() / total
        loss[1] += (self.bce(scores[..., n:], own_traits.nan_to_num(0.0)) * trait_weight).sum() / total
        loss[0], loss[2] = self.bbox_loss(
            distribution, predicted, anchors, target_boxes / strides, targets, total, positive, size, strides
        )
        if taught_by is not None:
            held, held_boxes = self._held(scores, distribution, taught_by, ~positive)
            loss[1] += held
            loss[2] += held_boxes
        return loss * torch.tensor([self.hyp.box, self.hyp.cls, self.hyp.dfl], device=self.device)

    def _held(self, scores, distribution, taught: Taught, free: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """How far people and phones of the taught squares are from the teacher's, and their boxes.

        Both are cross-entropies less their least value, over the anchors `free` `(B, A)` to learn it (all if the
        teacher counts where something is marked), per unit of the teacher's certainty: of each class by itself, so
        that many people don't drown few phones.
        """
        rows = taught.rows
        said = scores[rows][..., TAUGHT]
        weight = (free[rows] | taught.marked_too).to(said)
        least = nn.functional.binary_cross_entropy(taught.scores, taught.scores, reduction="none")
        total = taught.scores.sum((0, 1)).clamp(min=LEAST_TAUGHT)
        classes = (((self.bce(said, taught.scores) - least) * weight[..., None]).sum((0, 1)) / total).sum()
        sure = taught.scores.amax(2) * weight
        sure = sure * (sure > LEAST_SURE)
        bins = distribution[rows].unflatten(2, (4, -1)).log_softmax(3)
        boxes = nn.functional.kl_div(bins, taught.bins, reduction="none").sum(3).mean(2)
        return classes, (boxes * sure).sum() / sure.sum().clamp(min=1)

    def _in_doubt(self, places, boxes, classes, doubtful):
        """Whether each anchor `(B, A, 5)` lies in a doubtful object of each class."""
        inside = (
            (places[None, :, None] > boxes[:, None, :, :2]) & (places[None, :, None] < boxes[:, None, :, 2:])
        ).all(3)
        of_class = nn.functional.one_hot(classes, len(LABELS)).bool() & doubtful[..., None]
        return torch.einsum("bam,bmc->bac", inside.float(), of_class.float()) > 0
