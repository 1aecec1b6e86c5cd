"""Baldi and Vershynin 2022: the quarks of attention."""

__all__: list[str] = []
