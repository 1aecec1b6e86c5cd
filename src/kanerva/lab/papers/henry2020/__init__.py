"""Henry and others 2020: attention with normalised queries and keys, whose beta is learned."""

__all__: list[str] = []
