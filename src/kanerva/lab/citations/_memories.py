"""What to cite for each memory, by keys of ``kanerva.lab.citations.SOURCES``."""

__all__ = ["MEMORIES"]

# What to cite for each constructor of ``kanerva.models``.
MEMORIES: dict[str, tuple[str, ...]] = {
    "sdm": ("kanerva1988", "kanerva1993"),
    "sdm_patterns": ("kanerva1988", "bricken2021"),
    "sdm_attention": ("bricken2021",),
    "sdm_continuous": ("bricken2021",),
    "sdm_continuous_patterns": ("bricken2021",),
    "sdm_continuous_attention": ("bricken2021",),
    "sdm_selected": ("jaeckel1989",),
    "sdm_hyperplane": ("jaeckel1989b",),
    "attention": ("vaswani2017",),
    "modern_hopfield": ("ramsauer2021",),
    "sparse_hopfield": ("hu2023", "santos2024"),
    "hopfield": ("hopfield1982",),
    "dense": ("krotov2016",),
    "exponential": ("demircigil2017",),
    "cdam": ("burns2024",),
    "correlated_hopfield": ("griniasty1993", "haga2019"),
    "sequence_hopfield": ("chaudhry2023",),
    "willshaw": ("willshaw1969",),
    "covariance": ("tsodyks1988",),
    "kernel": ("schaeffer2024",),
    "crp": ("schaeffer2024",),
    "diffusion": ("hoover2023diffusion", "ambrogioni2023"),
    "eam": ("hernandez2024", "pineda2021"),
}
