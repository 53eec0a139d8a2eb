"""The parser of verbs that have flags of their own, which tell of mistakes as the others do."""

import argparse

from lctrain.errors import UserError


class FlagParser(argparse.ArgumentParser):
    """argparse's parser; a mistake is a UserError that ends with the usage."""

    def error(self, message: str):
        usage = " ".join(self.format_usage().split())
        raise UserError(f"`{self.prog.split()[-1]}`: {message}. U{usage[1:]}")
