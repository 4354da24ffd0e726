"""Prints what a screen reader would find in the window of a process, one JSON list a line, over and over."""
import json
import sys
import time

import gi

gi.require_version("Atspi", "2.0")
from gi.repository import Atspi  # noqa: E402

PROCESS = int(sys.argv[1])


def names(node, found):
    found.append(node.get_name() or "")
    for index in range(node.get_child_count()):
        child = node.get_child_at_index(index)
        if child is not None:
            names(child, found)


Atspi.init()
while True:
    found = []
    try:
        desktop = Atspi.get_desktop(0)
        desktop.clear_cache()
        for index in range(desktop.get_child_count()):
            program = desktop.get_child_at_index(index)
            if program is not None and program.get_process_id() == PROCESS:
                names(program, found)
    except gi.repository.GLib.Error:
        # The tree changed while it was being read.
        continue
    print(json.dumps(found), flush=True)
    time.sleep(0.03)
