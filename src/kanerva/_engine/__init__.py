"""How a read is computed: the routes to one result, the code that they share, and the kernels."""
