"""Manifests of trainings that take a moment: every loop, and every adversarial system."""

CLASSIFIER = """
net = "lenet5"
task = "classify"
chapter = 4
paper = ""
summary = ""
dataset = "mnist"
labels = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]
input = { size = [28, 28], channels = 1, pad = 2, mean = [0.08], std = [0.78] }
[training]
loop = "classifier"
epochs = 12
batch = 20
rate = 4e-3
held_out = 20
distortion = { rotation = 1.0 }
"""

# Everything that a recipe can say at once, on a net with auxiliary classifiers, normalisation and dropout.
ELABORATE = """
net = "googlenet"
task = "classify"
chapter = 4
paper = ""
summary = ""
dataset = "mnist"
labels = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]
input = { size = [28, 28], channels = 1, mean = [0.08], std = [0.78] }
[options]
size = 28
channels = 1
classes = 10
width = 0.03125
stem = [3, 1, 1]
batch_norm = true
[training]
loop = "classifier"
epochs = 3
batch = 20
images = 60
optimiser = "sgd"
rate = 0.05
schedule = "steps"
steps = [0.5]
smoothing = 0.1
auxiliary = 0.3
weight_decay = 1e-4
decay = "weights"
clip = 1.0
average = 0.9
largest_rms = { "conv1.conv" = 0.1 }
sides = [[0.4, 20]]
precision = "bfloat16"
channels_last = true
weights = "float16"
augmentation = { crop = 2, flip = true, scale = [0.9, 1.2], colour = 0.1, cutout = 4 }
[training.reduced]
epochs = 1
precision = "float32"
"""

GENERATOR = """
net = "dcgan32-generator"
task = "generate"
chapter = 7
paper = ""
summary = ""
dataset = "mnist"
options = { latent = 5, width = 4, channels = 1 }
output = { size = [28, 28], channels = 1, latent = 5, crop = 2 }
[training]
loop = "adversarial"
system = "SYSTEM"
discriminator = "dcgan32-discriminator"
discriminator_options = { width = 4, channels = 1 }
iterations = 6
batch = 4
discriminator_steps = 2
optimiser = "OPTIMISER"
average = 0.5
grid_every = 3
"""

# Every switch of the adversarial loop at once.
ADVISED = (
    GENERATOR.replace("OPTIMISER", "adam").replace("iterations = 6", "iterations = 8").replace("batch = 4", "batch = 8")
    + """
discriminator_optimiser = "sgd"
labels = { real = [0.7, 1.2], fake = [0.0, 0.3], flipped = 0.1 }
separate_batches = false
instance_noise = 0.1
replay = 0.25
replay_size = 8
spectral = true
record_every = 3
appraised = { extractor = "eye", every = 4, samples = 20, reference = 50 }
"""
)


def generator_of(
    system: str, discriminator: str = "dcgan32-discriminator", judged: str = "width = 4, channels = 1"
) -> str:
    """A manifest of a system, and its discriminator's options."""
    manifest = GENERATOR.replace("SYSTEM", system).replace("OPTIMISER", "adam")
    manifest = manifest.replace("dcgan32-discriminator", discriminator)
    return manifest.replace("width = 4, channels = 1 }\niterations", f"{judged} }}\niterations")


# Three trainings side by side, of points that are made on the spot.
TOY = """
net = "toy-generator"
task = "generate"
chapter = 7
paper = ""
summary = ""
dataset = "ring-8"
options = { width = 8 }
points = { latent = 2, modes = [[1.0, 0.0]], deviation = 0.01 }
[training]
loop = "adversarial"
system = "SYSTEM"
stack = 3
discriminator = "DISCRIMINATOR"
discriminator_options = { width = 8 }
iterations = 6
batch = 4
average = 0.5
grid_every = 3
appraised = { every = 3 }
"""

MANIFESTS = {
    "classifier": CLASSIFIER,
    "elaborate": ELABORATE,
    "gan": GENERATOR.replace("SYSTEM", "gan").replace("OPTIMISER", "adam"),
    "wgan": GENERATOR.replace("SYSTEM", "wgan").replace("OPTIMISER", "rmsprop"),
    "advised": ADVISED.replace("SYSTEM", "gan"),
    "dragan": generator_of("dragan", judged='width = 4, channels = 1, normalisation = "layer"'),
    "ebgan": generator_of("ebgan", "dcgan32-autoencoder"),
    "madgan": generator_of("madgan", judged="width = 4, channels = 1, outputs = 3")
    .replace('net = "dcgan32-generator"', 'net = "dcgan32-generators"')
    .replace("latent = 5, width = 4, channels = 1 }", "latent = 5, width = 4, channels = 1, generators = 2 }"),
    "minibatch": generator_of("minibatch", "dcgan32-minibatch-discriminator"),
    "pacgan": generator_of("pacgan", judged="width = 4, channels = 2"),
    "unrolled": generator_of("unrolled"),
    "wgan-gp": generator_of("wgan-gp", judged='width = 4, channels = 1, normalisation = "none"'),
    "toy": TOY.replace("SYSTEM", "gan").replace("DISCRIMINATOR", "toy-discriminator"),
    "toy-ebgan": TOY.replace("SYSTEM", "ebgan").replace("DISCRIMINATOR", "toy-autoencoder"),
    "toy-minibatch": TOY.replace("SYSTEM", "minibatch").replace("DISCRIMINATOR", "toy-minibatch-discriminator"),
}
ADVERSARIAL = [name for name in MANIFESTS if name not in ("classifier", "elaborate")]
