# Whether the judge of fault injection can fail: supervisors that do each of the forbidden things, written in shell.
import os
import pathlib
import tempfile
import unittest

import call_sites
import fault_run
import inject
from fault_run import Fault, run_fault

TRACE = """\
7 openat(AT_FDCWD, "/etc/ld.so.cache", O_RDONLY) = 3
 > /lib/ld-linux.so.2(open+0x1) [0x1]
7 openat(AT_FDCWD, "/proc/self/fd", O_RDONLY) = 3
 > /lib/libc.so.6(opendir+0x1) [0x2]
 > /b/supervisor(common::open_descriptors()+0x27) [0x77]
 > /b/supervisor(main+0x1) [0x78]
8 prctl(PR_SET_NAME, "template g1") = 0
8 openat(AT_FDCWD, "/b/torture.so", O_RDONLY <unfinished ...>
7 openat(AT_FDCWD, "/proc/self/fd", O_RDONLY) = 3
 > /b/supervisor(common::open_descriptors()+0x27) [0x77]
 > /b/supervisor(main+0x1) [0x78]
8 <... openat resumed>) = 3
 > /b/supervisor(worker::(anonymous namespace)::TemplateProcess::load()+0x5) [0x99]
"""


class CallSites(unittest.TestCase):
    def sites(self, names):
        found, ranges = call_sites.find_sites(TRACE, names)
        return {(site.role, site.functions): number for site, number in found.items()}, ranges

    def test_leave_out_what_the_loader_does(self):
        sites, ranges = self.sites({})
        self.assertEqual(sites, {("between", "open_descriptors < main"): 2})
        self.assertEqual(ranges["openat"], range(2, 4))

    def test_name_the_process_and_the_way_to_the_call(self):
        sites, _ranges = self.sites({"7": "master"})
        self.assertEqual(sites, {("master", "open_descriptors < main"): 2, ("template", "TemplateProcess::load"): 1})


class Plan(unittest.TestCase):
    def test_reads_the_names_that_it_writes(self):
        for text in ("mmap:ENOMEM:3", "mmap:ENOMEM:3+", "@clone:EAGAIN:1", "@clone:EAGAIN:1+"):
            self.assertEqual(str(inject.parse_fault(text)), text)

    def test_has_an_error_for_every_call_and_each_site(self):
        sites, ranges = call_sites.find_sites(TRACE, {"7": "master"})
        self.assertIn(Fault("openat", "EMFILE", 1, ready=True), inject.plan_long(sites, ranges, True))
        self.assertEqual(len([f for f in inject.plan_short(sites, False) if not f.lasting]), 2)


class Judge(unittest.TestCase):
    FAULT = Fault("openat", "EMFILE", 60_000)  # never reached: what the program does is its own

    def problems_of(self, script):
        with tempfile.TemporaryDirectory(prefix="faults-") as directory:
            program = pathlib.Path(directory) / "supervisor"
            program.write_text("#!/bin/sh\n" + script + "\n")
            os.chmod(program, 0o755)
            return run_fault(directory, self.FAULT).problems

    def setUp(self):
        self.patience, fault_run.RUN_SECONDS_MAX = fault_run.RUN_SECONDS_MAX, 1.0

    def tearDown(self):
        fault_run.RUN_SECONDS_MAX = self.patience

    def test_accepts_a_refusal_that_says_why(self):
        self.assertEqual(self.problems_of("echo 'supervisor: no descriptor is left' >&2; exit 1"), [])

    def test_rejects_a_silent_refusal(self):
        self.assertEqual(self.problems_of("exit 1"), ["ended without saying why"])

    def test_rejects_an_exit_that_nobody_decided(self):
        self.assertEqual(self.problems_of("echo 'supervisor: x' >&2; exit 127"), ["ended with 127"])
        self.assertEqual(self.problems_of("echo 'supervisor: x' >&2; kill -ABRT $$"), ["ended with -6"])

    def test_rejects_a_hang(self):
        self.assertEqual(self.problems_of("exec sleep 60"), ["hangs: neither ready nor ended"])

    def test_counts_a_descriptor_too_many_as_a_leak(self):
        calm = [4, 7, 7, 12]
        for descriptors in (calm, [7, 7, 11], [4, 6, 7, 12]):
            self.assertTrue(fault_run.is_within(descriptors, calm))
        for descriptors in ([5, 7, 7, 12], [4, 7, 8, 12], [4, 7, 7, 13], [7, 7, 13], [4, 4, 7, 7, 12]):
            self.assertFalse(fault_run.is_within(descriptors, calm))

    def test_rejects_processes_left_behind(self):
        # strace waits for them as init would not; what is seen is that the service does not end.
        self.assertNotEqual(self.problems_of("sleep 60 & echo 'supervisor: x' >&2; exit 1"), [])


if __name__ == "__main__":
    unittest.main()
