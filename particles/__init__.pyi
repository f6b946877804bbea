from .activations import ACTIVATIONS as ACTIVATIONS
from .activations import Activation as Activation
from .data import Dataset as Dataset
from .data import Stream as Stream
from .datasets import load as load, read as read
from .errors import (
    DivergedError as DivergedError,
)
from .errors import (
    InputError as InputError,
)
from .errors import (
    ParticlesError as ParticlesError,
)
from .errors import (
    StorageError as StorageError,
)
from .laws import (
    Atoms as Atoms,
)
from .laws import (
    Ball as Ball,
)
from .laws import (
    Gaussian as Gaussian,
)
from .laws import (
    Law as Law,
)
from .laws import (
    Sphere as Sphere,
)
from .laws import (
    Uniform as Uniform,
)
from .losses import LOSSES as LOSSES
from .measure import Measure as Measure
from .methods import SGD as SGD
from .methods import AveragedSGD as AveragedSGD
from .methods import GradientDescent as GradientDescent
from .network import Network as Network
from .observables import OBSERVABLES as OBSERVABLES
from .population import Local as Local
from .regularisers import L1 as L1
from .regularisers import L2 as L2
from .schedules import InverseSqrt as InverseSqrt
from .schedules import RobbinsMonro as RobbinsMonro
from .study.compare import compare as compare
from .study.results import Run as Run
from .study.results import open as open
from .study.results import save as save
from .study.simulate import simulate as simulate
