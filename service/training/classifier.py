"""The loop of every classifier: epochs of shuffled, perhaps altered images, the rate falling to nothing."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn
from torch.autograd import backward
from torch.nn.functional import cross_entropy, interpolate
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from service.datasets.split import Split
from service.nets.registry import build_net
from service.store import ImageInput
from service.tasks.classify import normalise
from service.training.augmentation import Augmentation, Augmenter
from service.training.distortion import Distortion, distort
from service.training.initial import Initial
from service.training.run import Run

if TYPE_CHECKING:
    from service.training.checkpoints import Stateful

MEASURING_BATCH = 500


class ClassifierRecipe(BaseModel):
    """`[training]` of a classifier."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    loop: Literal["classifier"]
    seed: int = 0
    epochs: int = Field(gt=0)
    batch: int = Field(128, gt=0)
    loss: Literal["cross-entropy", "map"] = "cross-entropy"
    garbage: float = Field(1.0, description="j of the MAP criterion: how far away the rubbish class lies.")
    smoothing: float = Field(0.0, ge=0, lt=1, description="Share of each label that is spread over all classes.")
    auxiliary: float = Field(
        0.0,
        ge=0,
        description="Weight of the auxiliary classifiers' losses; the net is trained with its own, if above 0.",
    )
    optimiser: Literal["adam", "sgd"] = "adam"
    rate: float = Field(1e-3, gt=0, description="Highest learning rate.")
    schedule: Literal["cosine", "one-cycle", "steps"] = Field(
        "cosine", description="How the rate falls to 0: by half a cosine, by a line, or to a tenth at each of `steps`."
    )
    steps: tuple[float, ...] = Field((), description="Shares of the training after which the rate is a tenth.")
    warm_up: float = Field(0.0, ge=0, lt=1, description="Share of all steps in which the rate rises to its highest.")
    momentum: float = Field(0.9, ge=0, lt=1, description="Of sgd.")
    weight_decay: float = Field(0.0, ge=0)
    decay: Literal["all", "weights"] = Field(
        "all",
        description="What decays: all, or only weights that mix maps: no bias, normalisation or depthwise filter.",
    )
    clip: float | None = Field(None, gt=0, description="Largest norm of the gradient.")
    largest_rms: dict[str, float] = Field(
        {}, description="Layers whose filters are scaled back to this root mean square when above it (ZFNet's 0.1)."
    )
    average: float = Field(
        0.0, ge=0, lt=1, description="Decay of the moving average of the weights that is kept; 0 keeps the last."
    )
    initial: Initial | None = None
    distortion: Distortion | None = None
    augmentation: Augmentation | None = None
    sides: tuple[tuple[float, int], ...] = Field(
        (), description="Progressive resizing: up to which share of the epochs images have which side, then their own."
    )
    images: int | None = Field(None, gt=0, description="Only so many of the first training images.")
    precision: Literal["float32", "tf32", "bfloat16"] = Field(
        "float32", description="Of products: as they are written, with a card's TF32, or bfloat16 in the forward pass."
    )
    channels_last: bool = False
    weights: Literal["float32", "float16"] = Field("float32", description="How weight matrices are stored.")
    held_out: int = Field(0, ge=0, description="Last training images that are measured instead of trained on.")

    @model_validator(mode="after")
    def _falls_where_it_says(self) -> "ClassifierRecipe":
        if (self.schedule == "steps") != bool(self.steps):
            raise ValueError("schedule 'steps' and the shares in `steps` need each other")
        return self

    def build_optimiser(self, net: nn.Module) -> torch.optim.Optimizer:
        """The optimiser of the net, at the highest rate."""
        parameters = list(net.parameters()) if self.decay == "all" else _decay_apart(net, self.weight_decay)
        if self.optimiser == "adam":
            return torch.optim.Adam(parameters, lr=self.rate, weight_decay=self.weight_decay)
        return torch.optim.SGD(
            parameters,
            lr=self.rate,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            nesterov=self.momentum > 0,
        )

    def relative_rate(self, done: float) -> float:
        """The rate as a share of the highest once a share of all steps is done."""
        if done < self.warm_up:
            return done / self.warm_up
        if self.schedule == "steps":
            return 0.1 ** sum(done >= step for step in self.steps)
        left = 1 - (done - self.warm_up) / (1 - self.warm_up)
        return left if self.schedule == "one-cycle" else 0.5 * (1 + math.cos(math.pi * (1 - left)))

    def measure_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy, or the paper's MAP criterion (equation 9): that with one more class at −j."""
        if self.loss == "map":
            logits = torch.cat([logits, logits.new_full((len(logits), 1), -self.garbage)], dim=1)
        return cross_entropy(logits, labels, label_smoothing=self.smoothing)

    def measure_losses(self, answers: Sequence[Tensor], labels: Tensor) -> Tensor:
        """The loss of the net's own logits, and of its auxiliary classifiers' at their weight."""
        own, *auxiliary = (self.measure_loss(logits.float(), labels) for logits in answers)
        return own + self.auxiliary * torch.stack(auxiliary).sum() if auxiliary else own

    def side_in(self, epoch: int) -> int | None:
        """The side that images have in an epoch, the first being 1; None for their own."""
        return next((side for share, side in self.sides if epoch <= share * self.epochs), None)


class _AllHeads(nn.Module):
    """A net that answers with its auxiliary classifiers, too, where it is trained with them."""

    def __init__(self, net: nn.Module, *, auxiliary: bool) -> None:
        super().__init__()
        self._net = net
        self._auxiliary = auxiliary

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        answers: tuple[Tensor, ...] = self._net.all_heads(x) if self._auxiliary else (self._net(x),)  # type: ignore[operator]
        return answers


def train_classifier(recipe: ClassifierRecipe, run: Run) -> nn.Module:
    """The trained net of `run.manifest`, on the CPU and ready to serve."""
    spec = run.manifest.input
    assert spec is not None
    trained, measured = run.images.divide(recipe.held_out)
    trained = trained.first(recipe.images or len(trained))
    pixels = torch.from_numpy(trained.images).to(run.device)  # (N, H, W, C) uint8
    labels = torch.from_numpy(trained.labels).long().to(run.device)  # (N,)
    alter = _alteration(recipe, trained, spec)
    net = _build(recipe, run)
    module = run.team.wrap(_AllHeads(net, auxiliary=recipe.auxiliary > 0))
    optimiser = recipe.build_optimiser(net)
    batches = math.ceil(len(labels) / recipe.batch)
    steps = recipe.epochs * batches
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: recipe.relative_rate((step + 1) / (steps + 1)))
    parts: dict[str, Stateful] = {"net": net, "optimiser": optimiser, "schedule": schedule}
    kept = _averaged(net, recipe.average)
    if kept is not None:
        parts["kept"] = kept

    begin = run.checkpoints.restore(**parts)
    for epoch in range(begin + 1, recipe.epochs + 1):
        order = run.team.draw_order(len(labels), run.device)  # (N,)
        _seed_device(run.device)
        side = recipe.side_in(epoch)
        for place in range(batches):
            rows = run.team.share(order[place * recipe.batch : (place + 1) * recipe.batch]).to(run.device)  # (batch,)
            x = alter(pixels[rows], side)  # (batch, C, H + 2·pad, W + 2·pad), or (batch, C, side, side)
            with torch.autocast(run.device.type, torch.bfloat16, enabled=recipe.precision == "bfloat16"):
                answers = module(x)  # one (batch, classes) a classifier
            loss = recipe.measure_losses(answers, labels[rows])
            _descend(loss, net, optimiser, recipe)
            schedule.step()
            if kept is not None:
                kept.update_parameters(net)
            run.progress.report((epoch - 1) * batches + place + 1, steps, epoch=epoch, loss=loss.detach())

        if recipe.held_out:
            _look(net if kept is None else kept.module, measured, epoch, run)
        over = run.is_over(epoch, recipe.epochs, "epochs")
        if run.team.leads:
            run.checkpoints.keep(epoch, last=over)
        if over:
            break

    served = net if kept is None else kept.module
    run.best.fill(served)
    return _served(served, run)


def _look(net: nn.Module, measured: Split, epoch: int, run: Run) -> None:
    """See how good the net is by now on the images that are held out."""
    assert run.manifest.input is not None
    accuracy = measure_accuracy(net, measured, run.manifest.input, run.device)
    run.offer(net, -accuracy)
    run.progress.say(f"epoch {epoch}: accuracy {accuracy:.4f} on {len(measured)} held-out images")


def _descend(loss: Tensor, net: nn.Module, optimiser: torch.optim.Optimizer, recipe: ClassifierRecipe) -> None:
    """One step of the optimiser, within the recipe's bounds."""
    optimiser.zero_grad()
    backward(loss)
    if recipe.clip is not None:
        nn.utils.clip_grad_norm_(net.parameters(), recipe.clip)
    optimiser.step()
    _limit_rms(net, recipe.largest_rms)


def _build(recipe: ClassifierRecipe, run: Run) -> nn.Module:
    """The net that is trained: with its auxiliary classifiers where their losses count, on its device."""
    auxiliary = {"auxiliary": True} if recipe.auxiliary else {}
    net = build_net(run.manifest.net, {**run.manifest.options, **auxiliary})
    if recipe.initial is not None:
        recipe.initial.fill(net, run.find)
    layout = torch.channels_last if recipe.channels_last else torch.preserve_format
    return net.to(run.device, memory_format=layout).train()  # type: ignore[call-overload, no-any-return]


def _served(net: nn.Module, run: Run) -> nn.Module:
    """The net as the manifest has it, on the CPU; what was for training only is left behind."""
    trained = net.cpu().state_dict()
    served = build_net(run.manifest.net, run.manifest.options)
    served.load_state_dict({name: trained[name] for name in served.state_dict()})
    return served.eval()


def _averaged(net: nn.Module, decay: float) -> AveragedModel | None:
    if not decay:
        return None
    average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    return AveragedModel(net, multi_avg_fn=average, use_buffers=True).eval()


def _alteration(recipe: ClassifierRecipe, trained: Split, spec: ImageInput) -> Callable[[Tensor, int | None], Tensor]:
    """What turns stored pixels (n, H, W, C) into what the net trains on, (n, C, H + 2·pad, W + 2·pad) or of a side."""
    begin = Augmenter(recipe.augmentation, trained.images, spec) if recipe.augmentation else None
    distortion = recipe.distortion

    def alter(images: Tensor, side: int | None) -> Tensor:
        x = normalise(images, spec) if begin is None else begin(images)
        if distortion is not None:
            x = distort(x, distortion, spec)
        return x if side is None else interpolate(x, size=(side, side), mode="bilinear", antialias=True)

    return alter


def _seed_device(device: torch.device) -> None:
    """Let what a GPU draws, for dropout, follow from the CPU's generator, whose state checkpoints keep."""
    if device.type == "cuda":
        with torch.cuda.device(device):  # it is the current one that is seeded
            torch.cuda.manual_seed(int(torch.randint(2**62, ())))


def _decay_apart(net: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Two groups of parameters: what mixes maps decays, the others do not."""
    depthwise = {
        id(module.weight)
        for module in net.modules()
        if isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1
    }
    mixing = [weight for weight in net.parameters() if weight.ndim > 1 and id(weight) not in depthwise]
    known = {id(weight) for weight in mixing}
    others = [parameter for parameter in net.parameters() if id(parameter) not in known]
    return [{"params": mixing, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


@torch.no_grad()
def _limit_rms(net: nn.Module, limits: dict[str, float]) -> None:
    """Scale back every filter of these layers whose root mean square is above the limit (ZFNet, section 3)."""
    for layer, limit in limits.items():
        weight = net.get_parameter(f"{layer}.weight")  # (K, C, H, W)
        rms = weight.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
        weight.mul_((limit / rms).clamp(max=1.0))


@torch.no_grad()
def measure_accuracy(net: nn.Module, split: Split, spec: ImageInput, device: torch.device) -> float:
    """Share of the images whose largest logit is their label's."""
    training = net.training
    net.eval()
    hits = 0
    for start in range(0, len(split), MEASURING_BATCH):
        rows = slice(start, start + MEASURING_BATCH)
        logits = net(normalise(torch.from_numpy(split.images[rows]).to(device), spec))  # (batch, classes)
        hits += int((logits.argmax(dim=1).cpu() == torch.from_numpy(split.labels[rows])).sum())
    net.train(training)
    return hits / len(split)
