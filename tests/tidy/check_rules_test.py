# The checker's own test: a clean tree has no finding, and each rule can fail.
import tempfile
import unittest
from pathlib import Path

import check_rules
import cpp_text

CLEAN = {
    'README.md': '# Us\n'
                 '## Life of a request\n`worker/loop.cc`: `run()` `run()` `run()`, then\n`loop.h`: `Loop::stop()`\n'
                 '`loop.cc`: `run()`\n'
                 '## Life of a worker\n`worker/loop.cc`: `run()` `run()` `run()` `run()` `run(now)`\n',
    'worker/loop.h': '// Loop: turns.\n#pragma once\n\nvoid stop();\n',
    'worker/loop.cc': '// Loop: turns.\n#include "worker/loop.h"\n\n#include <vector>\n\nvoid run() {\n}\n',
    'tests/tidy/exceptions.txt': '# none\n',
}
COMMENT = '// A file.\n'


class Rules(unittest.TestCase):
    def findings(self, changes):
        with tempfile.TemporaryDirectory() as root:
            for path, text in {**CLEAN, **changes}.items():
                file = Path(root) / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding='utf-8')
            return check_rules.check_tree(Path(root))[0]

    def rules(self, changes):
        return [finding.rule for finding in self.findings(changes)]

    def test_a_clean_tree_has_no_finding(self):
        self.assertEqual(self.rules({}), [])

    def test_a_source_may_have_350_lines_and_no_more(self):
        self.assertEqual(self.rules({'common/a.cc': COMMENT * 350}), [])
        self.assertEqual(self.rules({'common/a.cc': COMMENT * 351}), ['file-lines'])

    def test_a_header_may_have_150_lines_and_no_more(self):
        self.assertEqual(self.rules({'common/a.h': COMMENT * 150}), [])
        self.assertEqual(self.rules({'common/a.h': COMMENT * 151}), ['file-lines'])

    def test_a_function_may_have_80_lines_and_no_more(self):
        def source(lines):
            return COMMENT + 'namespace a {\nint long_one() {\n' + '  x();\n' * (lines - 2) + '}\n}\n'
        self.assertEqual(self.rules({'common/a.cc': source(80)}), [])
        self.assertEqual(self.rules({'common/a.cc': source(81)}), ['function-lines'])
        excuse = {'tests/tidy/exceptions.txt': 'function-lines common/a.cc long_one: a table\n'}
        self.assertEqual(self.rules({'common/a.cc': source(81), **excuse}), [])

    def test_a_line_may_have_120_columns_and_no_more(self):
        self.assertEqual(self.rules({'common/a.cc': COMMENT + '//' + 'ü' * 118 + '\n'}), [])
        self.assertEqual(self.rules({'common/a.cc': COMMENT + '//' + 'ü' * 119 + '\n'}), ['columns'])

    def test_the_first_line_is_a_comment(self):
        self.assertEqual(self.rules({'common/a.h': '#pragma once\n'}), ['first-line'])
        self.assertEqual(self.rules({'tests/a.sh': '#!/bin/sh\nexit 0\n'}), ['first-line'])
        self.assertEqual(self.rules({'tests/a.sh': '#!/bin/sh\n# Runs.\nexit 0\n'}), [])

    def test_arrows_point_one_way(self):
        for path, include in [('common/a.cc', 'master/b.h'), ('common/a.cc', 'worker/b.h'),
                              ('common/a.cc', 'supervisor/app.h'), ('master/a.cc', 'worker/b.h'),
                              ('master/a.cc', 'supervisor/app.h'), ('worker/a.cc', 'master/b.h'),
                              ('worker/include/supervisor/a.h', 'common/b.h'), ('examples/a.cc', 'common/b.h'),
                              ('tests/apps/a.cc', 'common/b.h'), ('master/a.cc', '../worker/b.h'),
                              ('common/a.cc', 'b.h')]:
            with self.subTest(path=path, include=include):
                self.assertEqual(self.rules({path: COMMENT + f'#include "{include}"\n'}), ['arrows'])

    def test_only_main_knows_master_and_worker(self):
        text = COMMENT + '#include "master/a.h"\n#include "worker/b.h"\n'
        self.assertEqual(self.rules({'master/main.cc': text}), [])
        self.assertEqual(self.rules({'master/other.cc': text}), ['arrows'])

    def test_a_foreign_header_has_one_door(self):
        for include, door in [('llhttp.h', 'common/http_parser.cc'), ('toml++/toml.h', 'common/config_file.cc'),
                              ('spdlog/spdlog.h', 'common/log.cc'), ('fmt/format.h', 'common/format.h'),
                              ('nlohmann/json.hpp', 'common/json.h'), ('liburing.h', 'worker/ring.h'),
                              ('CLI/CLI.hpp', 'master/command_line.cc'), ('dlfcn.h', 'worker/application.cc')]:
            with self.subTest(include=include):
                text = COMMENT + f'#include <{include}>\n'
                self.assertEqual(self.rules({door: text}), [])
                self.assertEqual(self.rules({'worker/other.cc': text}), ['doors'])
        self.assertEqual(self.rules({'master/other.cc': COMMENT + '#include <systemd/sd-daemon.h>\n'}), ['doors'])
        self.assertEqual(self.rules({'tests/unit/a_test.cc': COMMENT + '#include <nlohmann/json.hpp>\n'}), [])

    def test_names_that_say_nothing_are_refused(self):
        for name in ['util.cc', 'string_utils.cc', 'test_helper.cc', 'misc.cc', 'slot_manager.cc', 'base.cc']:
            with self.subTest(name=name):
                self.assertEqual(self.rules({'common/' + name: COMMENT}), ['file-name'])
        self.assertEqual(self.rules({'common/database.cc': COMMENT}), [])

    def test_the_top_level_is_closed(self):
        self.assertEqual(self.rules({'src/a.cc': COMMENT}), ['top-level'])

    def test_a_switch_has_no_default(self):
        text = COMMENT + 'void f() {\n  switch (x) { default: break; }\n}\n'
        self.assertEqual(self.rules({'worker/a.cc': text}), ['switch-default'])
        self.assertEqual(self.rules({'tests/unit/a.cc': text}), [])
        self.assertEqual(self.rules({'worker/a.cc': COMMENT + '// default: none\nA(const A&) = default;\n'}), [])

    def test_a_leftover_mark_is_refused(self):
        self.assertEqual(self.rules({'systemd/README.md': 'TO' + 'DO write\n'}), ['leftovers'])

    def test_a_walk_names_functions_that_exist(self):
        def readme(find, replace):
            return {'README.md': CLEAN['README.md'].replace(find, replace)}
        self.assertEqual(self.rules(readme('`run(now)`', '`walk(now)`')), ['walks'])
        self.assertEqual(self.rules(readme('`loop.h`', '`gone.h`')), ['walks', 'walks'])
        self.assertEqual(self.rules(readme('`run()` `run()` `run()`, then', 'something')), ['walks'])
        self.assertEqual(self.rules(readme('## Life of a worker', '## Other')), ['walks'])
        called_only = COMMENT + 'void rerun() {\n  run();\n}\n// run() {} is gone\n'
        self.assertIn('walks', self.rules({'worker/loop.cc': called_only}))

    def test_an_exception_needs_a_reason_and_a_use(self):
        long = {'common/a.h': COMMENT * 151}
        excuse = 'file-lines common/a.h: the numbers of a foreign protocol\n'
        self.assertEqual(self.rules({**long, 'tests/tidy/exceptions.txt': excuse}), [])
        self.assertEqual(self.rules({'tests/tidy/exceptions.txt': excuse}), ['exceptions'])
        self.assertEqual(sorted(self.rules({**long, 'tests/tidy/exceptions.txt': 'file-lines common/a.h\n'})),
                         ['exceptions', 'file-lines'])


class Functions(unittest.TestCase):
    def names(self, text):
        return [(function.name, function.length) for function in cpp_text.functions(text)]

    def test_methods_lambdas_initialisers_and_tests_are_told_apart(self):
        self.assertEqual(self.names('struct A {\n  int b{1};\n  int c() const {\n    return 1;\n  }\n};\n'), [('c', 3)])
        self.assertEqual(self.names('void f() {\n  auto g = [] {\n  };\n}\nconst int t[] = {1, 2};\n'), [('f', 4)])
        self.assertEqual(self.names('TEST(Subject, Claims) {\n}\n'), [('Subject::Claims', 2)])
        self.assertEqual(self.names('A::A(int x) : a_{x}, b_{2} {\n  go();\n}\nvoid B::g() {}\n'),
                         [('A::A', 3), ('B::g', 1)])

    def test_braces_in_text_do_not_count(self):
        self.assertEqual(self.names('void f() {\n  g("}", \'{\', R"(}})");  // }\n}\nint n = 1\'000;\n'), [('f', 3)])

    def test_directives_do_not_count(self):
        self.assertEqual(self.names('#define M(x) \\\n  do { x\nvoid f() {}\n'), [('f', 1)])


if __name__ == '__main__':
    unittest.main()
