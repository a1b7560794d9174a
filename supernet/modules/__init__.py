"""Lightning modules: they only wire."""
