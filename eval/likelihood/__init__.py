"""NLL in bits/dim: the bound and its terms."""
