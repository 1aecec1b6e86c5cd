"""How a read is done: the routes to one answer, what they share, and the kernels beneath."""
