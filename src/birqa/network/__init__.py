"""The BiRQA network. Import the submodules; only `config` is free of torch."""
