"""What the embedder is trained to do.

Distillation makes the student agree with a teacher about single faces and about whole
neighbourhoods; the triplet loss pulls one person's faces together and pushes others away.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from facegate.training.mining import MINING, squared_distances

HIDDEN_SIZE = 1024
RIDGE = 1e-3
HEAD_RATE, HEAD_BATCH, HEAD_EPOCHS = 2e-3, 256, 15


class Head(nn.Module):
    """From an embedding to the teacher's space; thrown away after training.

    Linear, plus a hidden layer that begins silent. A linear head alone pulls the 128 numbers
    towards what 512 can be read from linearly, and a perfect student would verify worse for it.

    Args:
        size: numbers of an embedding.
        target: numbers of the teacher's.
    """

    def __init__(self, size: int, target: int) -> None:
        super().__init__()
        self.linear = nn.Linear(size, target, bias=False)
        self.hidden = nn.Linear(size, HIDDEN_SIZE)
        self.bent = nn.Linear(HIDDEN_SIZE, target, bias=False)
        nn.init.zeros_(self.bent.weight)

    def forward(self, embedding: torch.Tensor) -> torch.Tensor:
        """Give (N, target) unit vectors of (N, size) unit vectors."""
        bent: torch.Tensor = self.bent(F.relu(self.hidden(embedding)))
        return F.normalize(self.linear(embedding) + bent, dim=1)


def fit_head(
    head: Head, embedding: torch.Tensor, target: torch.Tensor, random: torch.Generator
) -> None:
    """Fit a head to embeddings that stay as they are: its linear part at once, then all of it.

    Args:
        head: a fresh one.
        embedding: float32 (N, size), unit length, without a gradient.
        target: float32 (N, target), the teacher's unit embeddings.
        random: source of the order, on the embeddings' device.
    """
    gram = embedding.T @ embedding
    gram += RIDGE * len(embedding) * torch.eye(len(gram), device=gram.device)
    with torch.no_grad():
        head.linear.weight.copy_(torch.linalg.solve(gram, embedding.T @ target).T)
    optimiser = torch.optim.AdamW(head.parameters(), HEAD_RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, HEAD_EPOCHS)
    for _ in range(HEAD_EPOCHS):
        order = torch.randperm(len(embedding), generator=random, device=random.device)
        for rows in order.split(HEAD_BATCH):
            unit = embedding[rows]
            loss = distillation(unit, head(unit), target[rows], target)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        schedule.step()


def distillation(
    embedding: torch.Tensor,
    projected: torch.Tensor,
    target: torch.Tensor,
    bank: torch.Tensor,
    scale: float = 16.0,
) -> torch.Tensor:
    """Land where the teacher put the clean crop, and keep its view of who resembles whom.

    Three terms: cosine of the projected embedding to the target; Kullback–Leibler divergence
    between the teacher's and the student's softmax over a bank of other people's targets (Tian et
    al. 2020, "Contrastive Representation Distillation", with soft labels); and the batch's cosine
    matrix of the 128-D embeddings themselves (Park et al. 2019, "Relational Knowledge
    Distillation"), which is what is compared at the door.

    Args:
        embedding: float32 (N, 128), unit length.
        projected: float32 (N, 512), unit length, through the `Head`.
        target: float32 (N, 512), the teacher's unit embeddings.
        bank: float32 (M, 512), targets of other crops; the batch's own are added.
        scale: inverse temperature of the softmax.
    """
    cosine = 1 - (projected * target).sum(1).mean()
    everyone = torch.cat([target, bank])
    wanted = F.softmax(scale * target @ everyone.T, dim=1)
    neighbours = F.kl_div(
        F.log_softmax(scale * projected @ everyone.T, dim=1), wanted, reduction="batchmean"
    )
    own = ~torch.eye(len(target), dtype=torch.bool, device=target.device)
    teacher_gram, student_gram = target @ target.T, embedding @ embedding.T
    structure = ((student_gram - teacher_gram) * own).square().sum() / own.sum()
    close = F.kl_div(
        F.log_softmax((scale * student_gram).masked_fill(~own, -1e4), dim=1),
        F.softmax((scale * teacher_gram).masked_fill(~own, -1e4), dim=1),
        reduction="batchmean",
    )
    return 2 * cosine + neighbours + 10 * structure + close


def triplet(
    embedding: torch.Tensor, label: torch.Tensor, mining: str, margin: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Ask that an anchor is nearer to its positive than to its negative, by the margin.

    Args:
        embedding: float32 (N, D), unit length.
        label: int64 (N,), who each row is.
        mining: name in `mining.MINING`.
        margin: on squared Euclidean distance; 0.2 in the paper.

    Returns:
        Mean hinge over the mined triplets, and the share of them that is not satisfied yet.

    Source: Schroff et al. 2015, "FaceNet", section 3.1.
    """
    distance = squared_distances(embedding)
    anchor, positive, negative = MINING[mining](distance.detach(), label)
    if not len(anchor):
        nothing = embedding.sum() * 0
        return nothing, nothing.detach()
    hinge = (distance[anchor, positive] - distance[anchor, negative] + margin).clamp(min=0)
    return hinge.mean(), (hinge.detach() > 0).float().mean()


def spread(embedding: torch.Tensor) -> float:
    """Say how far a batch of unit embeddings (N, D) is spread: 0 all in one point, 1 evenly."""
    return 1 - float(embedding.detach().mean(0).square().sum())
