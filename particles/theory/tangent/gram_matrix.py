"""The tangent kernel (5) of a measure at given inputs: its Gram matrix, and its action without the matrix.

In flow time K(x, x') = x.x' int s^2 sigma'(b.x) sigma'(b.x') dmu, and int sigma(b.x) sigma(b.x') dmu on top where the
output weights train: the paper's (5) times M^(2 beta - 1), equal to it at beta = 1/2.
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
from particles.kernels.assemble import BLOCK
from particles.measures import blocks
from particles.measures.measure import Array, Measure, Source, checked_measure
from particles.model.network import Network
from particles.population.population import Engine, Local, cores
from particles.storage.gram_file import growing, part_of
from particles.theory.tangent.atoms import atoms_of, examined
from particles.theory.tangent.tiles import Request, Team, kernels_of, tile_of, tile_values

if TYPE_CHECKING:
    from scipy.sparse.linalg import LinearOperator


def gram(
    net: Network, measure: Measure, x: ArrayLike, other: ArrayLike | None = None, *, engine: Local | None = None
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
    engine
        Its threads share the work; by default `mf.Local()`. No bit depends on it.

    Returns
    -------
    (n, n), or (n, m) with `other`
        The matrix in float64, symmetric without `other`.

    Raises
    ------
    InputError
        For inputs and particles of different dimensions.

    Notes
    -----
    .. math:: K(x, x') = x \cdot x' \int s^2 \sigma'(b \cdot x) \, \sigma'(b \cdot x') \, d\mu(s, b)

    and :math:`\int \sigma(b \cdot x) \, \sigma(b \cdot x') \, d\mu` in addition where the output weights train. This is
    the paper's (5) times M^(2 beta - 1), equal to it at beta = 1/2. ReLU with equal weights and unit signs counts
    activation patterns, which is exact up to the inputs' products; every other case multiplies features.

    References
    ----------
    Equation (5), section 3.1.

    Examples
    --------
    >>> net, start = mf.Network("relu", beta=0.5), mf.Gaussian(2).sample(1024, seed=0, signs="random")
    >>> mf.tangent.gram(net, start, np.eye(2)).round(2)
    array([[0.5 , 0.  ],
           [0.  , 0.47]])
    """
    inputs = net.inputs(x)
    columns = inputs if other is None else net.inputs(other)
    if columns.shape[1] != inputs.shape[1]:
        raise InputError("`other` must have the columns of `x`", f"{columns.shape[1]} for {inputs.shape[1]}", "")
    atoms = atoms_of(measure, inputs.shape[1])
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

    Returns
    -------
    Path
        `path`, or `<path>.part` if it was stopped.

    Raises
    ------
    InputError
        For inputs and particles of different dimensions, and a path that is a folder.
    StorageError
        If the file cannot be written.

    Notes
    -----
    The file's variable `gram` is (n, n). No bit depends on the tile or the engine: they are those of `mf.tangent.gram`.
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
    atoms, name = examined(start, inputs.shape[1])
    request = Request(net, atoms, inputs, side)
    jobs = list(itertools.combinations_with_replacement(range(-(-len(inputs) // side)), 2))
    digest = blake2b(repr((net, name, inputs.shape)).encode(), digest_size=16)
    digest.update(inputs.tobytes())
    with growing(path, len(inputs), side, digest.hexdigest(), attributes or {}) as file:
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


def operator(net: Network, measure: Measure, x: ArrayLike, engine: Local | None = None) -> "LinearOperator":
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

    Returns
    -------
    LinearOperator
        Of shape (n, n). A product takes 8 M n d flops, and memory as the particles do.

    Raises
    ------
    InputError
        For inputs and particles of different dimensions.

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
    inputs = net.inputs(x)
    measure = checked_measure(measure, inputs.shape[1])
    cloud = blocks.pack(measure, "float64", shared_signs=False)
    n, K, d = len(inputs), len(cloud.b), cloud.d
    push, pull = net.kernels("float64", d), kernels_of(net.activation)
    both, trained = "output" in net.train, "input" in net.train
    b, flat, none = cloud.b.reshape(-1), np.ascontiguousarray(inputs).reshape(-1), np.empty(0)

    def apply(v: Array) -> Array:
        totals = np.zeros((K, n))
        slope = np.ascontiguousarray(v, dtype=np.float64).reshape(-1)

        def work(first: int, last: int) -> None:
            force, output = np.zeros(BLOCK * d), np.zeros(BLOCK)
            for block in range(first, last):
                push.velocity_blocks(
                    b,
                    cloud.s,
                    d,
                    flat,
                    slope,
                    -1.0,
                    both,
                    cloud.last_tiles,
                    block,
                    block + 1,
                    0,
                    False,
                    none,
                    force,
                    output,
                )
                if not trained:
                    force[:] = 0.0
                w, s = blocks.row(cloud.w, block, K), blocks.row(cloud.s, block, K)
                tiles = cloud.last_tiles if block == K - 1 else BLOCK // cloud.b.shape[-1]
                pull.apply_block(
                    b, block * BLOCK * d, d, np.stack([w * s, w]), flat, tiles, both, force, output, totals[block]
                )

        with Team((engine or Local()).threads or cores()) as team:
            team.runs(work, 0, K)
        return blocks.tree_sum(totals)

    from scipy.sparse.linalg import LinearOperator

    return LinearOperator((n, n), matvec=apply, rmatvec=apply, dtype=np.dtype(np.float64))
