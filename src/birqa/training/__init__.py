"""Training BiRQA on pairs of pictures with human ratings. Needs `pip install "birqa[torch]"`."""
