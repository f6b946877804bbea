"""Initial laws mu0 on R^d, a file each.

To add one: copy `uniform.py` and change `dim`, `draw` and `from_cube` (and `rule` where a Gauss rule is known); list it
here.
"""

from particles.measures.laws.atoms import Atoms as Atoms
from particles.measures.laws.ball import Ball as Ball
from particles.measures.laws.base import Law as Law
from particles.measures.laws.gaussian import Gaussian as Gaussian
from particles.measures.laws.sample import Sample as Sample
from particles.measures.laws.sphere import Sphere as Sphere
from particles.measures.laws.uniform import Uniform as Uniform
