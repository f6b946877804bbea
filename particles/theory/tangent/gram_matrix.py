"""The tangent kernel (5) of a measure at given inputs: its Gram matrix, and its action without the matrix.

In flow time K(x, x') = x.x' int s^2 sigma'(b.x) sigma'(b.x') dmu, and int sigma(b.x) sigma(b.x') dmu on top where the
output weights train: the paper's (5) times M^(2 beta - 1), equal to it at beta = 1/2.

With k outputs it has a block (k, k) a pair of inputs, x.x' int a a^T sigma'(b.x) sigma'(b.x') dmu, and the identity
times int sigma(b.x) sigma(b.x') dmu on top. The rows of one input lie next to each other.
"""

import itertools
from collections.abc import Callable, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from particles.checks import whole
from particles.errors import InputError
from particles.measures import blocks
from particles.measures.measure import Array, Measure, Source, checked_measure, source_of
from particles.model.network import Network
from particles.population.population import Engine, Local, cores
from particles.storage.gram_file import growing, part_of
from particles.theory.tangent.atoms import atoms_of, examined, in_form
from particles.theory.tangent.forces import Forces
from particles.theory.tangent.tiles import Request, Team, tile_of, tile_values

if TYPE_CHECKING:
    from scipy.sparse.linalg import LinearOperator


def gram(
    net: Network,
    measure: Measure,
    x: ArrayLike,
    other: ArrayLike | None = None,
    *,
    outputs: str = "full",
    engine: Local | None = None,
) -> Array:
    r"""The Gram matrix of the tangent kernel (5) of a measure (flow time).

    Parameters
    ----------
    net
        The network.
    measure
        The particles, on R^d (one dimension more with a bias).
    x : (n, d)
        Inputs.
    other : (m, d)
        Columns, if they are other inputs than the rows, as new ones against those of training.
    outputs
        Of a network of k > 1 outputs: "full", the default, for a row and a column an input and output, the output
        running fastest; "trace" for the mean of the k diagonal blocks, as `trace_axes=(-1,)` of neural-tangents.
    engine
        Its threads share the work; by default `mf.Local()`. No bit depends on it.

    Returns
    -------
    (n, n), or (n, m) with `other`
        The matrix in float64, symmetric without `other`. Of k outputs (n k, n k) or (n k, m k), unless `outputs` is
        "trace".

    Raises
    ------
    InputError
        For inputs and particles of different dimensions, and particles that do not have the network's outputs.

    Notes
    -----
    .. math:: K(x, x') = x \cdot x' \int s^2 \sigma'(b \cdot x) \, \sigma'(b \cdot x') \, d\mu(s, b)

    and :math:`\int \sigma(b \cdot x) \, \sigma(b \cdot x') \, d\mu` in addition where the output weights train. This is
    the paper's (5) times M^(2 beta - 1), equal to it at beta = 1/2. ReLU with equal weights and unit signs counts
    activation patterns, which is exact up to the inputs' products; every other case multiplies features.

    With k outputs the entry of the outputs o and p, at row i k + o and column j k + p, is

    .. math:: x_i \cdot x_j \int a_o a_p \, \sigma'(b \cdot x_i) \, \sigma'(b \cdot x_j) \, d\mu(a, b)
        + \delta_{op} \int \sigma(b \cdot x_i) \, \sigma(b \cdot x_j) \, d\mu

    References
    ----------
    Equation (5), section 3.1.

    Examples
    --------
    >>> net, start = mf.Network("relu", beta=0.5), mf.Gaussian(2).sample(1024, seed=0, signs="random")
    >>> mf.tangent.gram(net, start, np.eye(2)).round(2)
    array([[0.5 , 0.  ],
           [0.  , 0.47]])

    Two outputs:

    >>> net = mf.Network("relu", beta=0.5, outputs=2)
    >>> start = mf.Gaussian(2).sample(1024, seed=0, signs="random", outputs=2)
    >>> mf.tangent.gram(net, start, np.eye(2)).shape, mf.tangent.gram(net, start, np.eye(2), outputs="trace").shape
    ((4, 4), (2, 2))
    """
    inputs = net.inputs(x)
    columns = inputs if other is None else net.inputs(other)
    if columns.shape[1] != inputs.shape[1]:
        raise InputError("`other` must have the columns of `x`", f"{columns.shape[1]} for {inputs.shape[1]}", "")
    atoms = atoms_of(measure, inputs.shape[1], net.outputs, outputs)
    with Team((engine or Local()).threads or cores()) as team:
        return tile_values(net, atoms, inputs, columns, team)


def write_gram(
    net: Network,
    start: Measure | Source,
    x: ArrayLike,
    path: str | Path,
    engine: Engine | None = None,
    tile: int = 2048,
    progress: Callable[[int, int], object] | None = None,
    attributes: Mapping[str, Any] | None = None,
    outputs: str = "full",
) -> Path:
    """The Gram matrix of the tangent kernel (5) written straight to an HDF5 file, for any n (flow time).

    Parameters
    ----------
    net
        The network.
    start
        A measure, or a lazy sample of a law, whose particles are created slab by slab.
    x : (n, d)
        Inputs.
    path
        The file to write.
    engine
        Computes one tile a core; by default `mf.Local()`.
    tile
        Inputs a side of a tile, 2048 by default, in about 30 tile^2 bytes. Wider tiles read each particle less often,
        which pays from about 50 inputs on.
    progress
        `progress(done, total)` is called after each tile; a true answer stops.
    attributes
        For the file's root.
    outputs
        Of a network of k > 1 outputs: "full", the default, or "trace", as in `mf.tangent.gram`. Full tiles take k^2
        times the memory.

    Returns
    -------
    Path
        `path`, or `<path>.part` if it was stopped.

    Raises
    ------
    InputError
        For inputs and particles of different dimensions, particles that do not have the network's outputs, and a path
        that is a folder.
    StorageError
        If the file cannot be written.

    Notes
    -----
    The file's variable `gram` is (n, n), or (sample, output, other_sample, other_output), which is (n k, n k) after
    a reshape. No bit depends on the tile or the engine: they are those of `mf.tangent.gram`.
    A call that was stopped or killed leaves the finished tiles in `<path>.part`, and the same call again goes on with
    the others (the root's attributes stay those of the first).

    References
    ----------
    Equation (5), section 3.1.

    Examples
    --------
    >>> import h5py
    >>> path = mf.tangent.write_gram(mf.Network("relu"), mf.Gaussian(2).sample(64, seed=0), np.eye(2), "gram.h5")
    >>> h5py.File(path)["gram"].shape
    (2, 2)
    """
    inputs, path = net.inputs(x), Path(path)
    if path.is_dir():
        raise InputError("`path` must name a file", f"the folder {path}", "Add a name, such as gram.h5.")
    side = whole("tile", tile, 1, remedy="Leave it out for 2048.")
    atoms, name = examined(start, inputs.shape[1], net.outputs, outputs)
    request = Request(net, atoms, inputs, side)
    jobs = list(itertools.combinations_with_replacement(range(-(-len(inputs) // side)), 2))
    digest = blake2b(repr((net, name, inputs.shape)).encode(), digest_size=16)
    digest.update(inputs.tobytes())
    with growing(path, len(inputs), side, digest.hexdigest(), attributes or {}, atoms.source.outputs) as file:
        missing = [job for job in jobs if job not in file.done]
        for number, values in (engine or Local()).tasks(tile_of, request, missing):
            if isinstance(values, Exception):  # a task whose process was lost again and again
                raise values
            file.put(missing[number], values)
            if progress and progress(len(file.done), len(jobs)):
                break
        if len(file.done) < len(jobs):
            file.settle()
            return part_of(path)
        file.finish()
    return path


def operator(
    net: Network, measure: Measure, x: ArrayLike, engine: Local | None = None, outputs: str = "full"
) -> "LinearOperator":
    """The Gram matrix of the tangent kernel (5) as a scipy LinearOperator that never forms it (flow time).

    Parameters
    ----------
    net
        The network.
    measure
        The particles, on R^d (one dimension more with a bias).
    x : (n, d)
        Inputs.
    engine
        Its threads share the work; by default `mf.Local()`.
    outputs
        Of a network of k > 1 outputs: "full", the default, or "trace", as in `mf.tangent.gram`.

    Returns
    -------
    LinearOperator
        Of shape (n, n), or (n k, n k). A product takes 8 M n (d + k) flops, and memory as the particles do.

    Raises
    ------
    InputError
        For inputs and particles of different dimensions, and particles that do not have the network's outputs.

    Notes
    -----
    A vector (n,) is passed through the particles as the slopes of a loss would be, and the forces are summed at the
    inputs.

    References
    ----------
    Equation (5), section 3.1.

    Examples
    --------
    >>> net, start, v = mf.Network("relu"), mf.Gaussian(2).sample(64, seed=0), np.ones(2)
    >>> K = mf.tangent.operator(net, start, np.eye(2))
    >>> bool(np.allclose(K @ v, mf.tangent.gram(net, start, np.eye(2)) @ v))
    True
    """
    from scipy.sparse.linalg import LinearOperator

    inputs = net.inputs(x)
    source = in_form(source_of(checked_measure(measure, inputs.shape[1], net.outputs)), outputs)
    if source.outputs < net.outputs:
        net = Network(net.activation, net.beta, net.bias, net.train)
    cloud, team = blocks.pack(source, "float64", shared_signs=False), (engine or Local()).threads or cores()
    forces = Forces(net, cloud, inputs)

    def apply(v: Array) -> Array:
        totals, slope = np.zeros((len(cloud.b), forces.size)), np.ascontiguousarray(v, dtype=np.float64).reshape(-1)
        with Team(team) as threads:
            threads.runs(lambda first, last: forces.add(slope, first, last, totals), 0, len(cloud.b))
        return blocks.tree_sum(totals)

    return LinearOperator((forces.size, forces.size), matvec=apply, rmatvec=apply, dtype=np.dtype(np.float64))
