# C++ as text: blanks out comments and literals, lists includes, finds functions and their lengths.
import re
from typing import NamedTuple

_TOKENS = re.compile(
    r'//[^\n]*'
    r'|/\*.*?\*/'
    r'|R"(?P<raw>[^\s()\\]{0,16})\(.*?\)(?P=raw)"'
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'",
    re.DOTALL,
)
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', re.MULTILINE)
_DIRECTIVE = re.compile(r'^[ \t]*#(?:[^\n]*\\\n)*[^\n]*', re.MULTILINE)
_CONTAINER = re.compile(r'\b(?:namespace|class|struct|union|enum|extern)\b')
_ATTRIBUTE = re.compile(r'alignas\s*\([^)]*\)|__attribute__\s*\(\(.*?\)\)')
_NAME = re.compile(r'([A-Za-z_~][\w:~]*)\s*\(')


class Include(NamedTuple):
    line: int
    quoted: bool
    path: str


class Function(NamedTuple):
    name: str
    line: int
    length: int  # lines, from the one that opens the body to the one that closes it


def _blank(match):
    return re.sub(r'[^\n]', ' ', match.group(0))


def without_comments_and_literals(text):
    """The same text, line for line and column for column, with comments and literals turned into spaces."""
    return _TOKENS.sub(_blank, text)


def includes(text):
    def keep_literals(match):
        return match.group(0) if match.group(0)[0] not in '/' else _blank(match)

    code = _TOKENS.sub(keep_literals, text)
    return [
        Include(code.count('\n', 0, match.start()) + 1, match.group(1) == '"', match.group(2))
        for match in _INCLUDE.finditer(code)
    ]


def functions(text):
    """Functions at namespace or class level, TEST(...) bodies included; lambdas belong to the function around them."""
    code = _DIRECTIVE.sub(_blank, without_comments_and_literals(text))
    found = []
    depth_of_containers = 0
    head_start = 0
    position = 0
    while position < len(code):
        character = code[position]
        if character == ';' or character == '}':
            if character == '}':
                depth_of_containers = max(depth_of_containers - 1, 0)
            head_start = position + 1
        elif character == '{':
            head = code[head_start:position]
            end = _closing_brace(code, position)
            if _opens_container(head):
                depth_of_containers += 1
                head_start = position + 1
            elif _opens_body(head, code, end):
                first = code.count('\n', 0, position) + 1
                last = code.count('\n', 0, end) + 1
                found.append(Function(_function_name(head), first, last - first + 1))
                position = end
                head_start = end + 1
            else:
                position = end  # an initialiser: a brace within a declaration
        position += 1
    return found


def _opens_container(head):
    head = _ATTRIBUTE.sub('', head)
    return bool(_CONTAINER.search(head)) and '(' not in head


def _opens_body(head, code, end):
    if '(' not in head or re.search(r'(?<![=!<>])=(?!=)\s*$', head):
        return False
    # A member initialised with braces in a constructor's list, "Ring() : fd_{-1}", is followed by "," or "{".
    following = code[end + 1:].lstrip()[:1]
    return not (re.search(r'[\w>]\s*$', head) and re.search(r'\)\s*(noexcept\s*)?:', head) and following in (',', '{'))


def _function_name(head):
    match = _NAME.search(re.sub(r'\bTEST(_F|_P)?\s*\(\s*(\w+)\s*,\s*(\w+)\s*\)', r'\2.\3(', head).replace('.', '::'))
    return match.group(1) if match else '?'


def _closing_brace(code, opening):
    depth = 0
    for position in range(opening, len(code)):
        if code[position] == '{':
            depth += 1
        elif code[position] == '}':
            depth -= 1
            if depth == 0:
                return position
    return len(code) - 1
