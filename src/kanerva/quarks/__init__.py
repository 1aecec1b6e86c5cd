"""The quarks of attention: three gates, their algebra, what a model is made of, and their capacity.

Baldi and Vershynin (2022) describe attention as one of three operations: a signal is added to the
activation of a unit, multiplies the output of a unit, or multiplies one of its weights. Everything
that is called attention is a circuit of units and these three gates.
"""

__all__: list[str] = []
