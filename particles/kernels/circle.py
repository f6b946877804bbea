"""One-sample SGD on the circle, mode by mode (section 4): T samples of S independent streams."""

import numpy as np


def descend(angle, noise, turns, values, pull, eta, lam, state, waves):
    """All iterations; loops over streams are innermost, so that they become vector code and no sum is reordered.

    angle, noise : (T, S); turns, values, pull : (modes,); state : (2, 2, modes, S), now and sum, cosine and sine
    waves : (2, modes, S), scratch
    """
    T, S = angle.shape
    modes = len(values)
    cosine, sine, rest = np.empty(S), np.empty(S), np.empty(S)
    re, im = np.empty(S), np.empty(S)
    for t in range(T):
        for s in range(S):
            cosine[s], sine[s], rest[s] = np.cos(angle[t, s]), np.sin(angle[t, s]), -noise[t, s]
            re[s], im[s] = 1.0, 0.0
        for j in range(modes):
            for _ in range(turns[j]):
                for s in range(S):
                    before = re[s]
                    re[s] = before * cosine[s] - im[s] * sine[s]
                    im[s] = before * sine[s] + im[s] * cosine[s]
            size = np.sqrt(2.0) if j > 0 or turns[0] > 0 else 1.0
            for s in range(S):
                waves[0, j, s], waves[1, j, s] = size * re[s], size * im[s]
                rest[s] += state[0, 0, j, s] * waves[0, j, s] + state[0, 1, j, s] * waves[1, j, s]
        for j in range(modes):
            move, back, keep = eta * values[j], eta * lam * pull[j], 1.0 - eta * lam
            for s in range(S):
                now = keep * state[0, 0, j, s] - back - move * rest[s] * waves[0, j, s]
                state[0, 0, j, s] = now
                state[1, 0, j, s] += now
                now = keep * state[0, 1, j, s] - move * rest[s] * waves[1, j, s]
                state[0, 1, j, s] = now
                state[1, 1, j, s] += now
