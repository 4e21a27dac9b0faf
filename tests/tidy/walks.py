# The two walks of README.md: each file and function they name must exist, so that the walk stays true.
import re

import cpp_text

TITLES = ('Life of a request', 'Life of a worker')
FUNCTIONS_MIN = 5  # a walk that names fewer is no walk

_HEADING = re.compile(r'^(#+)\s+(.*?)\s*$')
_QUOTED = re.compile(r'`([^`]+)`')
_FILE = re.compile(r'^[\w./-]+\.(?:cc|h|hpp|c)$')
_FUNCTION = re.compile(r'^((?:\w+::)*~?\w+)\([^`]*\)$')


def mistakes(files):
    """(line, text) for everything a walk names that is not there. `files`: relative path -> text."""
    readme = files.get('README.md')
    if readme is None:
        yield 1, 'README.md is missing'
        return
    for title in TITLES:
        lines = _section(readme, title)
        if not lines:
            yield 1, f'there is no section "{title}"'
            continue
        yield from _walk_mistakes(files, title, lines)


def _section(readme, title):
    """Numbered lines below the heading, up to the next one of the same or a higher level."""
    found = []
    level = 0
    fenced = False
    for number, line in enumerate(readme.splitlines(), 1):
        fenced ^= line.lstrip().startswith('```')
        heading = None if fenced else _HEADING.match(line)
        if heading and level and len(heading.group(1)) <= level:
            break
        if heading and heading.group(2).strip('`*_ ').lower() == title.lower():
            level = len(heading.group(1))
        elif level:
            found.append((number, line))
    return found


def _walk_mistakes(files, title, lines):
    current = None  # the file named last; functions belong to it
    functions = 0
    for number, line in lines:
        for quoted in _QUOTED.findall(line):
            if _FILE.match(quoted):
                current, problem = _find(files, quoted)
                if problem:
                    yield number, problem
            elif (match := _FUNCTION.match(quoted)):
                functions += 1
                if current is None:
                    yield number, f'`{quoted}`: name its file before it'
                elif not _has_function(current, files[current], match.group(1)):
                    yield number, f'{current} has no function {match.group(1)}'
    if functions < FUNCTIONS_MIN:
        yield lines[0][0], f'"{title}" names {functions} functions, at least {FUNCTIONS_MIN} are a walk'


def _find(files, name):
    if name in files:
        return name, None
    matches = [path for path in files if path.endswith('/' + name) and not path.startswith('tests/')]
    if len(matches) == 1:
        return matches[0], None
    return None, f'`{name}`: ' + ('no such file' if not matches else 'several files: ' + ', '.join(sorted(matches)))


def _has_function(path, text, name):
    """A source must define it; a header may declare it."""
    name = name.split('::')[-1]
    if path.endswith(('.cc', '.c')):
        return any(function.name.split('::')[-1] == name for function in cpp_text.functions(text))
    return re.search(r'(?<!\w)' + re.escape(name) + r'\s*\(', cpp_text.without_comments_and_literals(text)) is not None
