from birqa.cli import run

run()
