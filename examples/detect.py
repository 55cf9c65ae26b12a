"""Cries in a recording: python detect.py evening.wav"""

import sys

from crydistill.detector.files import detect_file
from crydistill.detector.settings import vote_settings
from crydistill.student.packaged import packaged_student
from crydistill.student.runtime import TfliteStudent

student = TfliteStudent.load(packaged_student())
found = detect_file(sys.argv[1], student, vote_settings(student.manifest, "balanced"))
for alert in found.alerts:
    print(f"a cry from {alert.onset:.1f} s, alarm at {alert.raised_at:.1f} s")
