from . import sklearn as sklearn, theory as theory
from .analysis.convergence import compare as compare
from .analysis.coupling import coupled as coupled
from .analysis.mean_field import MeanField as MeanField, ToleranceError as ToleranceError, mean_field as mean_field
from .checks import Setting as Setting
from .data import datasets as datasets
from .data.dataset import Dataset as Dataset, Stream as Stream
from .errors import (
    ClusterError as ClusterError,
    DivergedError as DivergedError,
    InputError as InputError,
    ParticlesError as ParticlesError,
    StorageError as StorageError,
)
from .experiments.python_sweep import sweep as sweep
from .experiments.sweep_dataset import open_sweep as open_sweep
from .kernels.elementwise import lanewise as lanewise
from .measures.laws import (
    Atoms as Atoms,
    Ball as Ball,
    Gaussian as Gaussian,
    Law as Law,
    Sphere as Sphere,
    Uniform as Uniform,
)
from .measures.measure import Measure as Measure
from .methods.base import Method as Method, Step as Step, Stepper as Stepper
from .methods.descent import SGD as SGD, AveragedSGD as AveragedSGD, GradientDescent as GradientDescent
from .methods.dual_averaging import DualAveraging as DualAveraging
from .methods.fisher_rao import FisherRao as FisherRao
from .methods.langevin import Langevin as Langevin
from .methods.runge_kutta import RungeKutta as RungeKutta
from .methods.schedules import InverseSqrt as InverseSqrt, RobbinsMonro as RobbinsMonro
from .model.activations import ACTIVATIONS as ACTIVATIONS, Activation as Activation
from .model.losses import LOSSES as LOSSES, Loss as Loss
from .model.network import Network as Network
from .model.regularisers import L1 as L1, L2 as L2
from .plotting import plot as plot
from .plotting.movies import movie as movie, still as still
from .plotting.view import Camera as Camera
from .population.differential import Differential as Differential, Integrand as Integrand
from .population.messages import Reduction as Reduction, Update as Update
from .population.observables import OBSERVABLES as OBSERVABLES, Observable as Observable
from .population.population import Local as Local
from .population.ray.engine import Ray as Ray
from .sensitivity.estimate import Estimate as Estimate, estimate as estimate
from .sensitivity.fluctuations import fluctuations as fluctuations
from .sensitivity.sensitivity import Sensitivity as Sensitivity, sensitivity as sensitivity
from .simulation.checkpoints import Checkpoints as Checkpoints
from .simulation.record import Record as Record
from .simulation.simulate import simulate as simulate
from .storage.run import Run as Run
from .storage.run_file import open_run as open_run
from .theory import tangent as tangent, transport as transport

__version__: str
