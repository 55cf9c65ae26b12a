"""Build a program for this computer."""

from SCons.Script import AlwaysBuild, Default, DefaultEnvironment

env = DefaultEnvironment()
env.Append(
    CFLAGS=["-std=gnu11"],
    CXXFLAGS=["-std=gnu++11"],
    CCFLAGS=["-O1", "-Wall", "-Wextra", "-Werror"],
    LINKFLAGS=["-pthread"],
    LIBS=["m"],
)
program = env.BuildProgram()
Default([AlwaysBuild(env.Alias("buildprog", program))])
