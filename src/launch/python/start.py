"""What a bundle's interpreter is started with: start.py ARGV0 ARGUMENTS..."""
if __name__ == "__main__":
    import _haft

    _haft.run_program()
