"""What tests share: small configurations, sweeps, the command line in this process, oracles written out."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]  # of the project: beside particles/ its drivers, configurations, docs
