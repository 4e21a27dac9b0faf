# The house rules that need no compiler: sizes, first lines, names, arrows between rooms, doors, leftovers, the walks.
#
# usage: check_rules.py ROOT. Prints "path:line: [rule] what is wrong" and exits with 1 when anything is.
# An exception is a line of exceptions.txt: "rule path: reason" (for a function "rule path function: reason").
import os
import re
import sys
from pathlib import Path
from typing import NamedTuple

import cpp_text
import walks

SOURCE_LINES_MAX = 350
HEADER_LINES_MAX = 150
FUNCTION_LINES_MAX = 80
COLUMNS_MAX = 120

TOP_LEVEL = set('CMakeLists.txt CMakePresets.json README.md LICENSE .clang-format .clang-tidy .ci .gitignore common '
                'master worker tests systemd examples'.split())
IGNORED = {'.git', 'build', '.cache', '__pycache__', 'CMakeUserPresets.json'}
FORBIDDEN_WORDS = {'util', 'utils', 'helper', 'helpers', 'misc', 'manager', 'base'}
LEFTOVERS = re.compile(r'\b(' + '|'.join(['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X', 'HA' + 'CK', 'WI' + 'P']) + r')\b')
COMMENT_STARTS = {'.cc': ('//', '/*'), '.c': ('//', '/*'), '.h': ('//', '/*'), '.hpp': ('//', '/*'), '.sh': ('#',),
                  '.py': ('#',), '.cmake': ('#',), '.in': ('#',)}

# Which rooms a file may include from, by the longest prefix of its path. "supervisor" is the public interface.
ARROWS = {
    'common/': {'common'},
    'master/': {'common', 'master'},
    'master/main.cc': {'common', 'master', 'worker'},
    'worker/': {'common', 'worker', 'supervisor'},
    'worker/include/': {'supervisor'},
    'examples/': {'supervisor'},
    'tests/': {'common', 'master', 'worker', 'supervisor', 'support'},
    'tests/abi/': {'supervisor'},
    'tests/apps/': {'supervisor'},
    'tests/package/': {'supervisor'},
    'tests/incidents/': {'common', 'support'},
    'tests/integration/': {'common', 'support'},
    'tests/lifecycle/': {'common', 'support'},
    'tests/support/': {'common', 'support'},
}
ROOMS = {'common', 'master', 'worker', 'supervisor', 'support'}

# A foreign header comes into the program through one file (a header and its source count as one); tests may
# use what they like.
DOORS = {
    r'llhttp.*\.h': ('common/http_parser.cc',),
    r'toml\+\+/.*': ('common/config_file.cc',),
    r'spdlog/.*': ('common/log.cc',),
    r'fmt/.*': ('common/format.h',),
    r'nlohmann/.*': ('common/json.h',),
    r'liburing.*': ('worker/ring.cc', 'worker/ring.h'),
    r'CLI/.*': ('master/command_line.cc',),
    r'systemd/.*': (),
    r'(elfutils/.*|dwarf\.h)': ('master/symbols.cc', 'master/source_frames.cc'),
    r'dlfcn\.h': ('worker/application.cc', 'worker/dynamic_linker.cc'),
    r'unwind\.h': ('worker/call_stack.cc',),
}


class Finding(NamedTuple):
    rule: str
    path: str
    line: int
    text: str
    function: str = ''

    def __str__(self):
        return f'{self.path}:{self.line}: [{self.rule}] {self.text}'


class File(NamedTuple):
    path: str  # relative to the root
    text: str

    @property
    def suffix(self):
        return '.cmake' if self.path.endswith('CMakeLists.txt') else os.path.splitext(self.path)[1]

    @property
    def is_cpp(self):
        return self.suffix in ('.cc', '.c', '.h', '.hpp')

    @property
    def is_header(self):
        return self.suffix in ('.h', '.hpp')

    @property
    def is_room(self):
        return self.path.startswith(('common/', 'master/', 'worker/'))


def check_sizes(file):
    lines = file.text.splitlines()
    if file.suffix in COMMENT_STARTS:
        limit = HEADER_LINES_MAX if file.is_header else SOURCE_LINES_MAX
        if len(lines) > limit:
            yield Finding('file-lines', file.path, limit + 1,
                          f'{len(lines)} lines, the limit is {limit}: split the noun')
        for number, line in enumerate(lines, 1):
            if len(line) > COLUMNS_MAX:
                yield Finding('columns', file.path, number, f'{len(line)} columns, the limit is {COLUMNS_MAX}')
    if file.is_cpp:
        for function in cpp_text.functions(file.text):
            if function.length > FUNCTION_LINES_MAX:
                yield Finding('function-lines', file.path, function.line, f'{function.name} has {function.length} '
                              f'lines, the limit is {FUNCTION_LINES_MAX}', function.name)


def check_first_line(file):
    starts = COMMENT_STARTS.get(file.suffix)
    lines = file.text.splitlines()
    if starts and lines and lines[0].startswith('#!'):
        lines = lines[1:]
    if starts and not (lines and lines[0].startswith(starts)):
        yield Finding('first-line', file.path, 1, 'the first line must be a comment that says what this file is')


def check_name(file):
    top = file.path.split('/')[0]
    if top not in TOP_LEVEL:
        yield Finding('top-level', file.path, 1, f'{top} does not belong at the top of the tree')
    for part in file.path.split('/'):
        words = re.split(r'[_.\-]', part.lower())
        for word in sorted(FORBIDDEN_WORDS.intersection(words)):
            yield Finding('file-name', file.path, 1, f'"{word}" says nothing: name the file after its noun')


def check_arrows(file):
    if not file.is_cpp:
        return
    prefix = max((p for p in ARROWS if file.path.startswith(p)), key=len, default=None)
    allowed = ARROWS.get(prefix, set())
    for include in cpp_text.includes(file.text):
        room = include.path.split('/')[0]
        if '..' in include.path.split('/'):
            yield Finding('arrows', file.path, include.line, f'"{include.path}": no ".." in an include')
        elif '/' in include.path and room in ROOMS and room not in allowed:
            yield Finding('arrows', file.path, include.line, f'{file.path} may not include {include.path}')
        elif file.is_room and include.quoted and room not in ROOMS:
            yield Finding('arrows', file.path, include.line, f'"{include.path}": write the room, as in "common/x.h"')


def check_doors(file):
    if not file.is_cpp or not file.is_room:
        return
    for include in cpp_text.includes(file.text):
        for pattern, doors in DOORS.items():
            if re.fullmatch(pattern, include.path) and file.path not in doors:
                yield Finding('doors', file.path, include.line,
                              f'<{include.path}> may be included by {doors[0] if doors else "no file yet"} only')


def check_switches(file):
    if file.is_room and file.is_cpp:
        code = cpp_text.without_comments_and_literals(file.text)
        for match in re.finditer(r'\bdefault\s*:(?!:)', code):
            line = code.count('\n', 0, match.start()) + 1
            yield Finding('switch-default', file.path, line, 'name every case: a new one must not compile unseen')


def check_leftovers(file):
    for number, line in enumerate(file.text.splitlines(), 1):
        match = LEFTOVERS.search(line)
        if match:
            yield Finding('leftovers', file.path, number, f'{match.group(1)}: do it, or write an issue')


def check_walks(files):
    for line, text in walks.mistakes({file.path: file.text for file in files}):
        yield Finding('walks', 'README.md', line, text)


CHECKS = [check_sizes, check_first_line, check_name, check_arrows, check_doors, check_switches, check_leftovers]


def read_tree(root):
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in IGNORED)
        for name in sorted(set(names) - IGNORED):
            path = Path(folder) / name
            try:
                text = path.read_text(encoding='utf-8')
            except UnicodeDecodeError:
                continue  # not text: a fuzz seed
            relative = path.relative_to(root).as_posix()
            if not relative.startswith('tests/fuzz/corpus/') and not path.is_symlink():
                yield File(relative, text)


def apply_exceptions(findings, text):
    """The findings that no line of the list excuses, and a finding for every line that is wrong or no longer needed."""
    listed = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith('#'):
            continue
        what, _, reason = line.partition(': ')
        if not reason.strip() or len(what.split()) not in (2, 3):
            yield Finding('exceptions', 'tests/tidy/exceptions.txt', number, 'write "rule path [function]: reason"')
        else:
            listed[tuple((what.split() + [''])[:3])] = number
    used = set()
    for finding in findings:
        keys = {(finding.rule, finding.path, ''), (finding.rule, finding.path, finding.function)} & listed.keys()
        used |= keys
        if not keys:
            yield finding
    for key in listed.keys() - used:
        yield Finding('exceptions', 'tests/tidy/exceptions.txt', listed[key], f'{" ".join(key)}: no longer needed')


def check_tree(root):
    files = list(read_tree(root))
    findings = [finding for file in files for check in CHECKS for finding in check(file)]
    findings += check_walks(files)
    exceptions = next((file.text for file in files if file.path == 'tests/tidy/exceptions.txt'), '')
    return list(apply_exceptions(findings, exceptions)), len(files)


def main():
    if len(sys.argv) != 2:
        print('usage: check_rules.py ROOT', file=sys.stderr)
        return 2
    findings, files = check_tree(Path(sys.argv[1]))
    for finding in sorted(findings, key=lambda f: (f.path, f.line)):
        print(finding)
    print(f'{files} files, {len(findings)} findings')
    return 1 if findings else 0


if __name__ == '__main__':
    sys.exit(main())
