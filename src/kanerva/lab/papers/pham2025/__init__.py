"""Pham and others 2025: from memorisation to generalisation in diffusion models."""

"""Pham and others 2025: diffusion models from memorisation to generalisation."""

__all__: list[str] = []
