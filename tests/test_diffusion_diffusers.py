"""Models and schedulers of the diffusers library: loops of its own against `diffusion.sample`."""

import importlib
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from sklearn.datasets import load_digits

from kanerva import InputError, InputTypeError, diffusion

diffusers = pytest.importorskip("diffusers")
# Said by NumPy of how the schedulers convert their tensors.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

PREDICTIONS = ("epsilon", "v_prediction", "sample")


def digits(dtype=torch.float64):
    """Return digits in [-1, 1]."""
    return torch.tensor(load_digits().data / 8 - 1, dtype=dtype)


def noise(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def unet(out=1, classes=None):
    """Return a tiny model with weights that are drawn without the global generator."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = diffusers.UNet2DModel(
            sample_size=8,
            in_channels=1,
            out_channels=out,
            layers_per_block=1,
            block_out_channels=(8, 8),
            down_block_types=("DownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "UpBlock2D"),
            norm_num_groups=4,
            num_class_embeds=classes,
        )
    return made.eval()


def loop(scheduler, model, start):
    """Run a loop as diffusers documents it."""
    x = start
    with torch.no_grad():
        for time in scheduler.timesteps:
            given = scheduler.scale_model_input(x, time)
            x = scheduler.step(model(given, time).sample, time, x).prev_sample
    return x


@pytest.mark.untyped
@pytest.mark.parametrize("spacing", ["leading", "trailing"])
@pytest.mark.parametrize("kind", PREDICTIONS)
def test_ddim_ends_where_sample_does(kind, spacing):
    denoise, z = diffusion.exact(digits()), noise(30, 64)
    scheduler = diffusers.DDIMScheduler(
        clip_sample=False, timestep_spacing=spacing, prediction_type=kind
    )
    scheduler.set_timesteps(25)
    model = diffusion.to_diffusers(denoise, scheduler)
    found = loop(scheduler, model, z.reshape(30, 1, 8, 8)).flatten(1)
    sigmas = diffusion.vp(25, spacing)
    wanted = diffusion.sample(denoise, z * (1 + sigmas[0] ** 2).sqrt(), sigmas).states[-1]
    assert (found - wanted).abs().max() < 1e-6
    assert len(found.unique(dim=0)) > 20  # they did not all end at one row


@pytest.mark.untyped
@pytest.mark.parametrize("karras", [False, True])
@pytest.mark.parametrize("kind", PREDICTIONS)
def test_euler_ends_where_sample_does(kind, karras):
    denoise, z = diffusion.exact(digits()), noise(30, 64)
    scheduler = diffusers.EulerDiscreteScheduler(prediction_type=kind, use_karras_sigmas=karras)
    scheduler.set_timesteps(20)
    start = z * scheduler.init_noise_sigma
    model = diffusion.to_diffusers(denoise, scheduler)
    found = loop(scheduler, model, start.reshape(30, 1, 8, 8)).flatten(1)
    wanted = diffusion.sample(denoise, start, scheduler.sigmas[:-1].double()).states[-1]
    assert (found - wanted).abs().max() < 1e-6


@pytest.mark.untyped
@pytest.mark.parametrize(
    "name", ["DPMSolverMultistepScheduler", "HeunDiscreteScheduler", "UniPCMultistepScheduler"]
)
def test_other_samplers_end_at_stored_rows(name):
    rows = digits()[:200]
    made = getattr(diffusers, name)
    scheduler = made(**({} if "Heun" in name else {"use_karras_sigmas": True}))
    scheduler.set_timesteps(30)
    model = diffusion.to_diffusers(diffusion.exact(rows), scheduler)
    found = loop(scheduler, model, noise(20, 1, 8, 8) * scheduler.init_noise_sigma)
    assert torch.cdist(found.flatten(1), rows).min(-1).values.max() < 0.1


@pytest.mark.untyped
@pytest.mark.parametrize("kind", PREDICTIONS)
def test_a_network_samples_as_its_own_scheduler_does(kind):
    model, z = unet(), noise(3, 64, dtype=torch.float32)
    ddim = diffusers.DDIMScheduler(clip_sample=False, prediction_type=kind)
    ddim.set_timesteps(25)
    found = loop(ddim, model, z.reshape(3, 1, 8, 8)).flatten(1)
    denoise, sigmas = diffusion.from_diffusers(model, ddim), diffusion.vp(25)
    with torch.no_grad():
        start = z * (1 + sigmas[0] ** 2).sqrt().float()
        ends = diffusion.sample(denoise, start, sigmas).states[-1]
    assert (ends - found).abs().max() < 1e-4 * found.abs().max()


@pytest.mark.untyped
@pytest.mark.parametrize("spacing", ["linspace", "trailing"])
def test_a_network_is_given_the_fractional_times_of_euler(spacing):
    model, z = unet().double(), noise(3, 64)
    euler = diffusers.EulerDiscreteScheduler(timestep_spacing=spacing)
    euler.set_timesteps(20)
    start = z * euler.init_noise_sigma
    seen = []

    def watched(sample, time):
        seen.append(time.reshape(()).item())
        return model(sample, time)

    with torch.no_grad():
        wanted = loop(euler, model, start.reshape(3, 1, 8, 8)).flatten(1)
        denoise = diffusion.from_diffusers(watched, euler, shape=(1, 8, 8))
        ends = diffusion.sample(denoise, start, euler.sigmas[:-1].double()).states[-1]
    assert seen == pytest.approx(euler.timesteps.tolist(), abs=2e-3)
    assert (ends - wanted).abs().max() < 1e-4 * wanted.abs().max()


@pytest.mark.parametrize("kind", PREDICTIONS)
def test_there_and_back_is_the_denoiser(kind):
    exact, x = diffusion.exact(digits()[:50]), digits()[:6] + noise(6, 64)
    scheduler = diffusers.DDPMScheduler(prediction_type=kind)
    model = diffusion.to_diffusers(exact, scheduler, shape=(1, 8, 8))
    back = diffusion.from_diffusers(model, scheduler)
    assert back.shape == (1, 8, 8)
    for sigma in (0.02, 0.7, 5.0, 150.0):
        assert (back(x, sigma) - exact(x, sigma)).abs().max() < 1e-4
    several = torch.tensor([0.1, 0.5, 1.0, 2.0, 20.0, 100.0])
    assert (back(x, several) - exact(x, several)).abs().max() < 1e-4
    assert back(x.reshape(2, 3, 64), 0.7).equal(back(x, 0.7).reshape(2, 3, 64))
    assert back(x[0], 0.7).numpy() == pytest.approx(back(x, 0.7)[0].numpy(), abs=1e-9)


def test_predictions_are_their_definitions():
    exact, data = diffusion.exact(digits()[:50]), digits()[:4].reshape(4, 1, 8, 8)
    z = noise(4, 1, 8, 8)
    for time in (0, 300, 999):
        found = {}
        for kind in PREDICTIONS:
            scheduler = diffusers.DDPMScheduler(prediction_type=kind)
            x = scheduler.add_noise(data, z, torch.tensor([time]))
            model = diffusion.to_diffusers(exact, scheduler)
            found[kind] = model(x, time).sample
            assert model(x, torch.full((4,), time), return_dict=False)[0].numpy() == pytest.approx(
                found[kind].numpy(), abs=1e-6
            )
        kept = scheduler.alphas_cumprod[time].double()
        x0, epsilon = found["sample"], found["epsilon"]
        assert (kept.sqrt() * x0 + (1 - kept).sqrt() * epsilon - x).abs().max() < 1e-6
        velocity = kept.sqrt() * epsilon - (1 - kept).sqrt() * x0
        assert (velocity - found["v_prediction"]).abs().max() < 1e-6


def test_pipelines_draw_stored_rows():
    scheduler = diffusers.DDIMScheduler(clip_sample=False)
    rows = digits(torch.float32)[:100]
    model = diffusion.to_diffusers(diffusion.exact(rows), scheduler, shape=(1, 8, 8))
    pipeline = diffusers.DDIMPipeline(unet=model, scheduler=scheduler)
    pipeline.set_progress_bar_config(disable=True)
    given = {"batch_size": 3, "num_inference_steps": 20, "output_type": "np"}
    found = pipeline(**given, generator=torch.Generator().manual_seed(0)).images
    drawn = torch.from_numpy(found).reshape(3, 64) * 2 - 1
    assert torch.cdist(drawn, rows).min(-1).values.max() < 1e-3


def test_whole_times_conditions_and_predicted_variances():
    seen = []

    def watched(sample, time):
        seen.append(time)
        return (torch.cat([sample, sample + 9], 1),)

    scheduler = diffusers.DDPMScheduler(variance_type="learned_range")
    denoise = diffusion.from_diffusers(watched, scheduler, shape=(2, 1), nearest=True)
    x = torch.ones(2)
    kept = 1 / (1 + 0.5**2)
    assert denoise(x, 0.5).tolist() == pytest.approx([1 - 0.5 * kept**0.5] * 2)
    assert seen[0].dtype == torch.int64
    low = diffusion.from_diffusers(watched, scheduler, shape=(2, 1))
    assert low(x, 0.0).equal(x)  # without noise there is nothing to take away
    assert seen[-1].item() == 0
    model = unet(classes=3)
    one, two = (
        diffusion.from_diffusers(
            partial(model, class_labels=torch.tensor([label])), scheduler, shape=(1, 8, 8)
        )
        for label in (0, 1)
    )
    with torch.no_grad():
        assert not one(torch.ones(64), 1.0).equal(two(torch.ones(64), 1.0))


def test_gradients_dtypes_and_parameters():
    model = unet()
    denoise = diffusion.from_diffusers(model, diffusers.DDIMScheduler())
    assert denoise.shape == (1, 8, 8)
    assert {id(one) for one in denoise.parameters()} == {id(one) for one in model.parameters()}
    x = noise(2, 64).requires_grad_()
    found = denoise(x, 1.0)
    assert found.dtype == torch.float64
    found.sum().backward()
    assert x.grad.abs().sum() > 0


@pytest.mark.untyped
def test_likelihoods_pass_through_models():
    covariance = torch.diag(torch.tensor([0.5, 2.0])).double()
    mean = torch.tensor([0.3, -0.2]).double()
    wiener = diffusion.gaussian(mean, covariance)
    scheduler = diffusers.DDIMScheduler(prediction_type="v_prediction")
    model = diffusion.to_diffusers(wiener, scheduler)
    denoise = diffusion.from_diffusers(model, scheduler, shape=(2, 1))
    sigmas = diffusion.schedule("geometric", 100, 150.0, 0.1)
    found = diffusion.log_likelihood(denoise, mean + noise(4, 2), sigmas)
    assert (found - wiener.log_prob(mean + noise(4, 2), 0.1)).abs().max() < 0.02


def test_schedules_that_leave_no_data():
    scheduler = diffusers.DDIMScheduler(
        rescale_betas_zero_snr=True,
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        clip_sample=False,
    )
    scheduler.set_timesteps(20)
    rows = digits()[:50]
    model = diffusion.to_diffusers(diffusion.exact(rows), scheduler)
    found = loop(scheduler, model, noise(5, 1, 8, 8)).flatten(1)
    assert torch.cdist(found, rows).min(-1).values.max() < 1e-2


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("change", "argument"),
    [
        ({"model": 3}, "model"),
        ({"model": torch.nn.Identity}, "model"),
        ({"scheduler": None}, "scheduler"),
        ({"scheduler": diffusers.FlowMatchEulerDiscreteScheduler()}, "scheduler"),
        ({"shape": (1, 0)}, "shape"),
        ({"shape": 3}, "shape"),
        ({"nearest": 1}, "nearest"),
    ],
)
def test_arguments_of_models(change, argument):
    given = {"model": unet(), "scheduler": diffusers.DDIMScheduler()}
    with pytest.raises(InputError) as refused:
        diffusion.from_diffusers(**given | change)
    assert (refused.value.argument, refused.value.function) == (argument, "from_diffusers")


def test_other_predictions_and_betas_are_refused():
    config = SimpleNamespace(prediction_type="flow")
    scheduler = SimpleNamespace(alphas_cumprod=torch.tensor([0.9, 0.5]), config=config)
    with pytest.raises(InputError, match="prediction_type"):
        diffusion.from_diffusers(unet(), scheduler)
    scheduler = SimpleNamespace(alphas_cumprod=torch.tensor([0.5, 0.9]), config=None)
    with pytest.raises(InputError, match="scheduler"):
        diffusion.from_diffusers(unet(), scheduler)


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("x", "sigma", "argument"),
    [
        (torch.zeros(63), 1.0, "x"),
        (torch.full((64,), float("nan")), 1.0, "x"),
        (torch.zeros(64), -1.0, "sigma"),
        (torch.zeros(64), 200.0, "sigma"),
        (torch.zeros(2, 64), torch.ones(3), "sigma"),
    ],
)
def test_states_and_noise_that_do_not_fit(x, sigma, argument):
    denoise = diffusion.from_diffusers(unet(), diffusers.DDIMScheduler())
    with pytest.raises(InputError) as refused:
        denoise(x, sigma)
    assert (refused.value.argument, refused.value.function) == (argument, "FromDiffusers")


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("sample", "time", "argument"),
    [
        (torch.zeros(2, 64).long(), 0, "sample"),
        (torch.full((2, 64), float("nan")), 0, "sample"),
        (torch.zeros(2, 64), 1000, "timestep"),
        (torch.zeros(2, 64), -1, "timestep"),
        (torch.zeros(2, 64), torch.zeros(3), "timestep"),
    ],
)
def test_samples_and_times_that_do_not_fit(sample, time, argument):
    model = diffusion.to_diffusers(
        diffusion.exact(digits(torch.float32)[:5]), diffusers.DDIMScheduler()
    )
    with pytest.raises(InputError) as refused:
        model(sample, time)
    assert (refused.value.argument, refused.value.function) == (argument, "ToDiffusers")


@pytest.mark.untyped
def test_results_of_another_shape_are_refused():
    denoise = diffusion.from_diffusers(lambda x, time: x[:, :3], diffusers.DDIMScheduler())
    with pytest.raises(InputError, match="model"):
        denoise(torch.zeros(5), 1.0)
    with pytest.raises(InputTypeError, match="denoiser"):
        diffusion.to_diffusers(3, diffusers.DDIMScheduler())


def test_a_missing_extra_is_named(monkeypatch):
    scheduler, plain = diffusers.DDIMScheduler(), importlib.import_module

    def missing(name, *more):
        if name.startswith("diffusers"):
            raise ImportError(name)
        return plain(name, *more)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(InputError, match=r"kanerva\[diffusion\]"):
        diffusion.to_diffusers(diffusion.exact(torch.eye(2)), scheduler)
