"""The loop of every adversarial system: a few steps of the discriminator, then one of the generator."""

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.autograd import backward
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from service.nets.registry import build_net
from service.nets.toys import first_of
from service.nets.weights import round_weights
from service.training.adversarial.appraisals import appraiser_of
from service.training.adversarial.data import data_of
from service.training.adversarial.log import Log
from service.training.adversarial.recipe import AdversarialRecipe
from service.training.adversarial.replay import Replay
from service.training.adversarial.settling import settle
from service.training.adversarial.systems.step import Step
from service.training.history import gradient_norm
from service.training.run import Run

GRID, POINTS = 100, 500
"""How many samples are looked at in pictures: images, points."""
SETTLING_BATCHES = 200


def train_adversarial(recipe: AdversarialRecipe, run: Run) -> nn.Module:
    """The trained generator of `run.manifest`, on the CPU and ready to serve. Raises TrainingFailed."""
    manifest, second = run.manifest, recipe.second
    generator = _train(recipe, run, build_net(manifest.net, recipe.stacked(manifest.options)))
    if second is None or run.budget.is_over():
        return generator
    torch.manual_seed(second.seed)
    stored = round_weights(generator) if recipe.weights == "float16" else generator
    return _train(second, replace(run, checkpoints=run.checkpoints.within("afterwards")), stored)


def _train(recipe: AdversarialRecipe, run: Run, generator: nn.Module) -> nn.Module:
    """One part of it: a generator goes on beside a discriminator that begins."""
    manifest, latent = run.manifest, run.manifest.latent
    system = recipe.build_system()
    generator = _place(generator, run)
    critic = _place(recipe.build_discriminator(), run)
    average = get_ema_multi_avg_fn(recipe.average)  # type: ignore[no-untyped-call]
    kept = AveragedModel(generator, multi_avg_fn=average, use_buffers=True).eval()
    generator_optimiser = recipe.build_optimiser(generator)
    critic_optimiser = recipe.build_discriminator_optimiser(critic)
    data = data_of(run, held_out=recipe.held_out)
    replay = Replay(share=recipe.replay, size=recipe.replay_size)
    shown = recipe.stack * (POINTS if manifest.output is None else GRID)
    appraiser = appraiser_of(recipe.appraised, run, seed=recipe.seed, stack=recipe.stack)
    log = Log(recipe, data, appraiser, _noise((shown, latent), run), run)

    def paint(z: Tensor) -> Tensor:
        with recipe.autocast(run.device):
            samples: Tensor = generator(z)
        return samples.float()

    def step_on(real: Tensor, fake: Tensor, z: Tensor, step: int) -> Step:
        deviation = recipe.noise_at(step)
        return Step(
            critic,
            _disturb(real, deviation, run),
            _disturb(fake, deviation, run),
            z,
            labels=recipe.labels,
            together=not recipe.separate_batches,
            optimiser=critic_optimiser,
        )

    begin = run.checkpoints.restore(
        G=generator,
        D=critic,
        kept=kept,
        steps_G=generator_optimiser,
        steps_D=critic_optimiser,
        replay=replay,
        **log.parts(),
    )
    for step in range(begin + 1, recipe.iterations + 1):
        recipe.set_rates(step, generator_optimiser, critic_optimiser)
        critic.requires_grad_(requires_grad=True)
        for _ in range(recipe.discriminator_steps + (recipe.alone if step == 1 else 0)):
            real = data.sample(recipe.rows)  # (rows, C, H, W) in [−1, 1], or points (rows, 2)
            z = _noise((recipe.rows, latent), run)
            with torch.no_grad():
                fake = paint(z)  # as real
            judged = step_on(real, *replay.mix(fake, z), step)
            with recipe.autocast(run.device):
                critic_loss = system.discriminator_loss(judged)
            critic_optimiser.zero_grad()
            backward(critic_loss)
            critic_optimiser.step()
            system.constrain(critic)

        critic.requires_grad_(requires_grad=False)
        z = _noise((recipe.rows, latent), run)
        painted = step_on(real, paint(z), z, step)
        with recipe.autocast(run.device):
            generator_loss = system.generator_loss(painted)
        generator_optimiser.zero_grad()
        backward(generator_loss)
        generator_optimiser.step()
        kept.update_parameters(generator)

        losses = {"discriminator_loss": critic_loss.detach(), "generator_loss": generator_loss.detach()}
        norms = {"discriminator_gradient": gradient_norm(critic), "generator_gradient": gradient_norm(generator)}
        log.note(step, kept.module, losses | norms | judged.notes | painted.notes)
        run.progress.report(step, recipe.iterations, **losses)
        over = run.is_over(step, recipe.iterations, "iterations")
        run.checkpoints.keep(step, last=over)
        if over:
            break

    log.close()
    run.best.fill(kept.module)
    settled = settle(kept.module, (_noise((recipe.rows, latent), run) for _ in range(SETTLING_BATCHES))).cpu()
    return settled if recipe.stack == 1 else first_of(settled, build_net(manifest.net, manifest.options)).eval()


def _place(net: nn.Module, run: Run) -> nn.Module:
    # Channels last is an eighth faster for these nets on a CPU, and not slower elsewhere.
    return net.to(run.device, memory_format=torch.channels_last).train()  # type: ignore[call-overload, no-any-return]


def _noise(shape: tuple[int, ...], run: Run) -> Tensor:
    """Draws of N(0, 1), on the CPU, so that a seed means the same on every device."""
    return torch.randn(shape).to(run.device)


def _disturb(x: Tensor, deviation: float, run: Run) -> Tensor:
    """Samples with normal noise on them; themselves where there is none."""
    return x + deviation * _noise(tuple(x.shape), run) if deviation else x
