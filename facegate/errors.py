"""Everything facegate raises.

FacegateError                 exit code 1
├── ConfigError               2   the configuration is wrong
├── UsageError                2   a command was given an option that it cannot take
├── InputError                3   a picture, file or name given by a person is wrong
│   ├── NotEnrolledError          nobody of this name is enrolled
│   └── NameTakenError            somebody of this name is enrolled already
├── ModelError                4   a model or its card cannot be used
│   └── NoEmbeddingError          a network answered with zeros or non-numbers
├── StoreError                5   the enrolment store cannot be used
├── HardwareError             6   camera, GPIO line or another device
│   ├── CameraError
│   └── LineError
│       └── RelayError            the strike is not driven as it must be
├── DaemonError               7   the daemon is not there, is there already, or a part of it died
├── DataError                 8   a training or validation set cannot be read
└── TrainingError             9   a training came to nothing

A message says what is wrong, where, and what to do.
"""


class FacegateError(Exception):
    """Base of all errors that facegate raises on purpose."""

    exit_code = 1


class ConfigError(FacegateError):
    """The configuration file or an override is wrong."""

    exit_code = 2


class UsageError(FacegateError):
    """A command was given an option that it cannot take."""

    exit_code = 2


class InputError(FacegateError):
    """A picture, file or name that a person gave cannot be used."""

    exit_code = 3


class NotEnrolledError(InputError):
    """Nobody of a name is enrolled."""


class NameTakenError(InputError):
    """Somebody of a name is enrolled already."""


class ModelError(FacegateError):
    """A model file, its card, or the interpreter cannot be used."""

    exit_code = 4


class NoEmbeddingError(ModelError):
    """A network answered with zeros or non-numbers."""


class StoreError(FacegateError):
    """The enrolment store cannot be opened, read or written."""

    exit_code = 5


class HardwareError(FacegateError):
    """A device is missing, busy or failing."""

    exit_code = 6


class CameraError(HardwareError):
    """The camera cannot be opened or stopped delivering frames."""


class LineError(HardwareError):
    """A GPIO line cannot be claimed, read or driven."""


class RelayError(LineError):
    """The strike cannot be driven: it may be released."""


class DaemonError(FacegateError):
    """The daemon cannot be reached, runs already, or lost one of its parts."""

    exit_code = 7


class DataError(FacegateError):
    """A training or validation set cannot be read."""

    exit_code = 8


class TrainingError(FacegateError):
    """A training went wrong in a way that going on would not mend."""

    exit_code = 9
