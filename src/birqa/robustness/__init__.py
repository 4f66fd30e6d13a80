"""How far a metric can be moved by attacks, measured."""
