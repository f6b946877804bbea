"""Finite networks beside their limit, from Python (section 3.4).

The claim: with output weights 1/M, predictions stay within O(M^(-1/2)) of the mean-field limit's at every flow time.
Data: 256 points on the circle, targets from a teacher of four neurons. The limit is the circle itself: equal angles are
a quadrature rule that converges geometrically, so its error is far below any finite network's distance.

    python drivers/studies/finite_width.py
"""

import particles as mf
from particles.analysis.convergence import verdict

net = mf.Network("tanh", beta=1.0)
law = mf.Sphere(dim=2, radius=2.0)
data = mf.datasets.load("circle", n=256)


def run(start: mf.Measure) -> mf.Run:
    method = mf.GradientDescent(step=0.5)
    return mf.simulate(net, start, data, method, steps=200, record_every=20, record=("loss", "prediction"))


coarse, limit = (run(law.quadrature(nodes, signs="random")).dataset for nodes in (1024, 2048))
runs = {
    (count, seed): run(law.sample(count, seed, signs="random")).dataset
    for count in (64, 256, 1024, 4096)
    for seed in range(8)
}
compared = mf.compare(runs, limit, coarse)
for count, distances in zip(compared["count"].values, compared["sup_distance"].values, strict=True):
    mean = distances.mean()
    print(f"M = {count:5d}   sup_t |g_M - g_inf| = {mean:.4f}   times sqrt(M) = {mean * count**0.5:.3f}")
print(f"change of the limit since half the nodes: {float(compared['sup_limit_error']):.1e}")
print(verdict(compared))
