"""Everything that touches Keras: models, layers and their analysis."""
