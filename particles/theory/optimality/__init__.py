"""How far a measure is from the global optimum (section 3.4): certificates, and the convex problem itself."""

from particles.theory.optimality import certificates as certificates
from particles.theory.optimality.convex_program import Optimum as Optimum, convex_optimum as convex_optimum
from particles.theory.optimality.frank_wolfe import frank_wolfe as frank_wolfe
