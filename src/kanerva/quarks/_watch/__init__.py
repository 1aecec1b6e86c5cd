"""Count the gates of a model while it runs: what is a signal, and what each operation gates."""

__all__: list[str] = []
