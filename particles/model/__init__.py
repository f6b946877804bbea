"""The network: activations, the losses, the regularisers."""
