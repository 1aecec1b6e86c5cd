"""Hoover and others 2023, Energy Transformer: a block whose forward pass walks down an energy."""

__all__: list[str] = []
