"""The fixed texts of the page of the benchmarks."""

__all__ = ["HOW", "MADE", "MILLION", "START", "WORDS"]

MADE = "<!-- Written by `kanerva bench`: run it again rather than change this page. -->"
# Title and explanation of each operation whose routes are compared.
WORDS = {
    "activation": (
        "Active locations",
        "All locations of `kanerva.sdm` within the radius of each query, about one in a thousand; "
        "n bits, M locations, B queries. The limit: XOR, count and add for each word of each "
        "address, or reading the addresses once. Checked: the same locations.",
    ),
    "write": (
        "Writing to locations",
        "`memory.write` of B patterns. The limit: the same scan, and reading and writing the "
        "counters of the active locations. Checked: the same counters, as integers, after one "
        "write to zeros.",
    ),
    "read": (
        "Reading from locations",
        "`memory.read` of B cues, with 256 patterns written. The limit: the same scan, and "
        "reading the counters of the active locations. Checked: every bit is the sign of its sum "
        "of counters; a sum of 0 may have either.",
    ),
    "softmax": (
        "Softmax reads",
        "`kanerva.modern_hopfield` with N unit vectors of d numbers in float32, beta = 16, B "
        "queries. The limit: two matrix products and the exponentials, or reading the patterns "
        "once. Checked: the formula in float64, for the first four queries.",
    ),
    "rules": (
        "Reads by other rules",
        "The same patterns, or their signs for circles, read by other rules, each with its ratio "
        "to the softmax read. Circle and cap contain one point in a thousand of their space; "
        "compact has beta = 2. Checked: the formula in float64, for the first four queries.",
    ),
    "recall": (
        "Five steps",
        "`memory.recall(query, steps=5)`. The limit: that of five softmax reads. Checked: five "
        "reads in float64, to a hundredth, since the steps amplify the rounding error of the "
        "first.",
    ),
    "pruned": (
        "Pruned reads",
        "`memory.read(query, tolerance=1e-6)` at beta = 32, where one pattern has nearly all "
        "weight. The limit is that of a read of all patterns in float32; a pruned read may be "
        "faster. Checked: the whole formula in float64.",
    ),
    "nearest": (
        "The nearest pattern",
        "A read with the rule `Argmax`. The limit: one matrix product, or reading the patterns "
        "once. Checked: the nearest pattern in float64.",
    ),
    "density": (
        "A density",
        "`memory.energy` with `closeness` and beta = 4: the negative logarithm of a Gaussian "
        "density, up to constants. The limit: one matrix product, or reading the patterns once. "
        "Checked: the formula in float64.",
    ),
    "linked": (
        "Reads with links",
        "`memory.read` of `correlated.Linked`: patterns with ten random links each on average, "
        "a = h = 0.5, by several rules, beside the softmax read of the same patterns without "
        "links. The links are folded into the values by the first read. The limit: that of a "
        "softmax read. Checked: the formula in float64.",
    ),
    "diffusion": (
        "The exact denoiser",
        "`diffusion.exact(rows)` at sigma = 0.5, for one sigma, for one of its own for each query, "
        "and over a file, beside the read of the same memory; and `diffusion.sample` along the "
        "probability flow from sigma = 3 to 0.1, beside the formula in NumPy, which holds all "
        "scores. N rows of d numbers in [0, 1], B queries. The limit: that of softmax reads. "
        "Checked: the formula in float64, for the first four queries.",
    ),
    "entropic": (
        "Registers of counts",
        "`recognise`, `recall` and `read` of `entropic.EntropicMemory` with n columns of m "
        "levels, N objects stored, and B cues, at s = m / 10. Recognition and recall stand beside "
        "a loop in Python over the cells of the published algorithm, timed on four cues; a recall "
        "also where few objects are stored. The read stands beside a softmax over all stored "
        "objects for each column, timed on four columns. Checked: the mismatches, the levels that "
        "the same uniform numbers draw, and the softmax in float64, each for the first four cues "
        "or columns.",
    ),
    "encode": (
        "Codes of data",
        "`Hyperplanes(k).encode` of rows of n random numbers, beside the product of these rows and "
        "the normals of the hyperplanes. The limit: that product, or reading the rows once. "
        "Checked: the signs of the sums in float64; one in a thousand may differ, where a float32 "
        "sum is near 0.",
    ),
    "train": (
        "Training of attention",
        "Forward and backward pass of `kanerva.nn.Attention`, causal, four heads with a beta of "
        "their own, on B texts of so many places, beside the same layer in plain torch with its "
        "kernel. Checked: the gradients of all weights.",
    ),
    "layers": (
        "Layers to train",
        "Forward and backward pass of `kanerva.nn.Attention` of one step and of three, four heads, "
        "on B texts of so many places, beside torch's `MultiheadAttention`; the same of "
        "`SDMLayer` with d inputs and M neurons, all but 10 of them inhibited, on B rows, beside "
        "the same weights with a rectifier; and the forward pass of `MemoryAttention` for B "
        "places and N stored pairs, of which k are read, beside the same layer in plain torch "
        "with `topk`. Checked: the formula in float64, for the outputs and the gradient of the "
        "input.",
    ),
    "quarks": (
        "Gates of a model",
        "`quarks.watch` and `quarks.rebuild` around a transformer of torch with so many layers of "
        "width d, on B texts of so many places, beside the same call without them; and "
        '`capacity.count("product", n)` beside the products of all pairs of threshold functions '
        "in NumPy, whose list is made before. The tables that kanerva makes first are kept from "
        "call to call. Checked: the model in float64, and the number of different products.",
    ),
    "gates": (
        "Gates of residual blocks",
        "Forward and backward pass of a residual network of transformers with `nn.share`, three "
        "stages of bottlenecks of width 64, 128 and 256, in training, on B pictures of 32 x 32: "
        "DIA shared by the blocks of a stage, one SE a block, and the plain network. With 164 "
        "layers it is ResNet-164. Checked: the outputs of a loop over the blocks in float64, with "
        "the same gates and without hooks.",
    ),
}
MILLION = (
    "{N:,} patterns of {n} bits, written to `kanerva.sdm_patterns(bits={n}, radius={radius})` in "
    "blocks of {written:,}, which are unpacked first, and stored as {kept}; then the recall of "
    "{B:,} cues with {flips} wrong bits, a tenth of all. The radius has the best signal-to-noise "
    "ratio for so many patterns where every point of the space is a location "
    "(`kanerva.theory.radius.optimal`). Only the package itself is needed; numba makes it faster."
)
START = (
    "Consecutive stages of a new process, median of {many}. The cache of numba is in a separate "
    "folder, empty at first. numba is imported in a stage of its own here; otherwise the first "
    "call that needs it includes this time."
)
HOW = """## How it was measured

* All routes of a line work on the same data in one process. Each is called once to check its
  answer; a route with another answer is not timed, and named below. A second call measures its
  memory. Then rounds time all routes, each round starting with another route. A sample is as many
  calls as take 20 ms, or a third of the time of a route where that is less. The tables show medians
  of up to 25 rounds of wall-clock time; the list of all rows adds quartiles. A route whose single
  call takes longer than the time of its line was timed once.
* Memory is the growth of the highest resident memory during a call, as reported by the kernel
  (Linux; None elsewhere). Results are included, inputs and stored patterns are not. The kernel
  counts pages of 4 KiB, some hundred KiB late, so sizes below 1 MiB are not resolved.
* Limits are the best of many rounds, with all threads or with one, measured at the beginning of
  the same run.
* A peer that would allocate more than 4 GiB is left out at that size. So are plain NumPy beyond
  4 x 10^9 comparisons of bits, the NumPy engine of kanerva beyond 5 x 10^10, and every rule but
  softmax beyond 10^11 products."""
