"""What the paper's theories say, computed."""

from particles.theory import tangent as tangent
