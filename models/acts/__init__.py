"""How the weights of `models/acts.yaml` are learnt and judged (`README.md`)."""
