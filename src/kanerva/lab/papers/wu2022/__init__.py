"""Wu and others 2022: transformers that memorise what lies before their window."""

__all__: list[str] = []
