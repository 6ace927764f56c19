"""Goes on as Python would with these arguments, after adding this archive's packages to the path."""

import os
import runpy
import site
import sys

here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:1] = []  # this file's own folder
site.addsitedir(os.path.join(here, "lib"))
site.setquit()
# A process that starts another Python starts this one.
sys.executable = os.path.join(here, "bin", "python")
arguments = sys.argv[1:]
if arguments[:1] == ["-m"]:
    sys.argv = arguments[1:]
    sys.path.insert(0, os.getcwd())
    runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
elif arguments[:1] == ["-c"]:
    sys.argv = ["-c", *arguments[2:]]
    sys.path.insert(0, "")
    exec(compile(arguments[1], "<string>", "exec"), globals())
elif arguments and arguments != ["-"]:
    sys.argv = arguments
    sys.path.insert(0, os.path.dirname(os.path.abspath(arguments[0])))
    runpy.run_path(arguments[0], run_name="__main__")
else:
    sys.exit("write -m MODULE, -c CODE, or a file")
