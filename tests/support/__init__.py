"""What tests share: small configurations, sweeps, the command line in this process, oracles written out."""
