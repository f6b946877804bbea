"""The mean field with entropy: what Langevin descends, where it ends, how far from there a measure is. One output."""

from particles.theory.entropic.duality import DualityGap as DualityGap, duality_gap as duality_gap
from particles.theory.entropic.entropy import Entropy as Entropy, entropy as entropy
from particles.theory.entropic.free_energy import FreeEnergy as FreeEnergy, free_energy as free_energy
from particles.theory.entropic.gibbs import Gibbs as Gibbs, gibbs as gibbs
from particles.theory.entropic.proximal import ProximalGibbs as ProximalGibbs, proximal_gibbs as proximal_gibbs
