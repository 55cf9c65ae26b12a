"""The framework: the core of tests/firmware/arduino."""

from pathlib import Path

from SCons.Script import DefaultEnvironment

env = DefaultEnvironment()
host = Path(env.PioPlatform().get_dir()).parent / "arduino" / "standin" / "host"
core = host / "cores" / "host"
env.Append(CPPPATH=[str(core)], LIBSOURCE_DIRS=[str(host / "libraries")])
env.Prepend(LIBS=[env.BuildLibrary("$BUILD_DIR/core", str(core))])
