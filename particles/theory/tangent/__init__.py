"""The tangent kernel (5): of a measure, of its limit, and descent under it."""

from particles.theory.tangent.extreme_eigenvalues import Extremes as Extremes, extremes as extremes
from particles.theory.tangent.gram_matrix import gram as gram, operator as operator, write_gram as write_gram
from particles.theory.tangent.kernel_flow import Eigen as Eigen, descend as descend, eigen as eigen, flow as flow
from particles.theory.tangent.limit_kernel import Limit as Limit, limit as limit, limit_gram as limit_gram
