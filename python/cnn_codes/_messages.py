"""Messages of the program as Python tells them."""

import re


def in_python(message):
    """A message of the program, with options as Python spells them: `--batch-size` is `batch_size`."""
    message = re.sub(r"^error: ", "", message.strip())
    message = re.sub(r"\n+Usage:.*|\n+For more information.*", "", message, flags=re.DOTALL)
    return re.sub(r"--([a-z][a-z0-9-]*)", lambda found: found[1].replace("-", "_"), message)
