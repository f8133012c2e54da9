"""What every command does in the same way: it parses its words, prints, and ends with an exit code."""

import codecs
import errno
import json
import os
import sys
from contextlib import nullcontext, suppress

from .. import CourseError

PLAIN = {"×": "x", "·": ".", "…": "...", "–": "-", "−": "-", "±": "+/-", "²": "2", "³": "3", "’": "'"}
EXIT_CODES = """\
exit codes:
  0    done
  2    something that you can put right; one sentence on stderr says what
  130  stopped with Ctrl-C; the finished epochs of a training are kept
  141  the program that read the output closed it, as `| head` does

With --json a command prints one JSON object per line. Its "event" says what it is."""


def run(parser, arguments=None):
    """Run one command and return its exit code, see `EXIT_CODES`; a reader's error becomes one sentence."""
    _never_fail_to_print()
    if "_ARGCOMPLETE" in os.environ:  # a shell asks what could follow, see book/setup.md
        import argcomplete

        argcomplete.autocomplete(parser)  # answers and ends the process: nothing may run because of a Tab
    words = sys.argv[1:] if arguments is None else arguments
    parsed = parser.parse_args(words)
    parsed.words = words
    try:
        with _process_group():
            parsed.run(parsed, Output(parsed.json))
        if sys.stdout is not None:
            sys.stdout.flush()  # here, where an output that is closed can still be caught
    except CourseError as error:
        say(f"cifar_lib: {error}")
        return 2
    except OSError as error:
        if _is_closed_output(error):
            _discard_output()
            return 141
        from ..system.files import explain_os_error

        say(f"cifar_lib: {explain_os_error(error, error.filename or 'a file')}")
        return 2
    except KeyboardInterrupt as error:
        say(f"cifar_lib: {str(error) or parsed.stopped}")
        return 130
    return 0


class Output:
    """Prints text, or with --json the same as one JSON object per line and nothing else."""

    def __init__(self, as_json):
        self.as_json = as_json

    def __call__(self, text, event=None, **fields):
        """Print a text, if it is one; with --json print the event, if it is one."""
        if self.as_json and event:
            print(json.dumps({"event": event} | fields), flush=True)
        if not self.as_json and text is not None:
            print(text, flush=True)


def _never_fail_to_print():
    """Let a console or a pipe of any encoding take every character: those it lacks get a plain spelling."""
    codecs.register_error("plain", _in_plain)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a notebook's streams are others, and take all characters
            stream.reconfigure(errors="plain")


def _in_plain(error):
    """A handler of encoding errors (`codecs.register_error`)."""
    characters = error.object[error.start : error.end]
    return "".join(PLAIN.get(character, "?") for character in characters), error.end


def _is_closed_output(error):
    """Whether the program that reads the output has closed it, as head does once it has enough."""
    return isinstance(error, BrokenPipeError) or (
        os.name == "nt" and error.errno == errno.EINVAL and error.filename is None
    )


def _discard_output():
    """Send what Python still wants to flush at its end nowhere, because it would report another error."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _process_group():
    """`distributed.process_group()`, for which one process alone need not import torch."""
    if _alone():
        return nullcontext()
    from ..system import distributed

    return distributed.process_group()


def say(text):
    """`distributed.print_once`, for which one process alone need not import torch."""
    if _alone():
        print(text, file=sys.stderr, flush=True)
    else:
        from ..system import distributed

        distributed.print_once(text)


def _alone():
    """Whether `torchrun` did not start this process."""
    return os.environ.get("WORLD_SIZE", "1") == "1"
