from . import theory as theory
from .analysis.compare import compare as compare
from .analysis.coupling import coupled as coupled
from .analysis.mean_field import MeanField as MeanField, ToleranceError as ToleranceError, mean_field as mean_field
from .data.dataset import Dataset as Dataset, Stream as Stream
from .data.datasets import load as load, read as read
from .errors import (
    ClusterError as ClusterError,
    DivergedError as DivergedError,
    InputError as InputError,
    ParticlesError as ParticlesError,
    StorageError as StorageError,
)
from .experiments.sweep_dataset import open_sweep as open_sweep
from .measures.laws import (
    Atoms as Atoms,
    Ball as Ball,
    Gaussian as Gaussian,
    Law as Law,
    Sphere as Sphere,
    Uniform as Uniform,
)
from .measures.measure import Measure as Measure
from .methods.schedules import InverseSqrt as InverseSqrt, RobbinsMonro as RobbinsMonro
from .methods.settings import (
    SGD as SGD,
    AveragedSGD as AveragedSGD,
    BirthDeath as BirthDeath,
    DualAveraging as DualAveraging,
    GradientDescent as GradientDescent,
    Langevin as Langevin,
    RungeKutta as RungeKutta,
)
from .model.activations import ACTIVATIONS as ACTIVATIONS, Activation as Activation
from .model.losses import LOSSES as LOSSES
from .model.network import Network as Network
from .model.regularisers import L1 as L1, L2 as L2
from .plotting.movies import movie as movie, still as still
from .plotting.view import Camera as Camera
from .population.observables import OBSERVABLES as OBSERVABLES
from .population.population import Local as Local
from .population.ray.engine import Ray as Ray
from .simulation.simulate import simulate as simulate
from .storage.run import Run as Run
from .storage.run_file import open as open, save as save
from .theory import tangent as tangent, transport as transport

__version__: str
