#!/usr/bin/env python3
"""Counts that describe the form of the code: `just figures`.

Product code is every crate that a user's program contains: the root package, `actors/` and `crates/`, without the test kit and
the programs for developers. Production code is product code without tests. The script reads text, not a syntax tree: a count is
exact for code that rustfmt has formatted.

`--where WORDS|TYPES|CIRCLES|FUNCTIONS|FILES` lists the places behind a figure; `--under PATH` counts only files below PATH.
"""

import argparse
import re
import statistics
import subprocess
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent if Path(__file__).resolve().parent.name == "dev" else Path.cwd()
NOT_PRODUCT = ("crates/testkit/", "crates/sim/", "crates/interop/", "crates/bench/", "crates/fuzz/", "dev/", "fuzz/")
WORDS = re.compile(r"\b(what|who|whoever|whatever|whose|nobody|somebody|anybody)\b", re.I)
# These names take their meaning from their path.
REPEATABLE = {"Error", "Config", "State", "Builder", "Event"}
TYPE = re.compile(r"^\s*(?:pub(?:\([^)]*\))?\s+)?(?:struct|enum|trait|union|type)\s+([A-Z]\w*)")
FN = re.compile(r"^(\s*)(?:pub(?:\([^)]*\))?\s+)?(?:default\s+)?(?:const\s+)?(?:async\s+)?(?:unsafe\s+)?fn\s+(\w+)")


def tracked():
    listed = subprocess.run(["git", "ls-files", "*.rs"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [p for p in listed.splitlines() if (ROOT / p).exists()]


def is_product(path):
    return (
        path.startswith(("src/", "actors/", "crates/"))
        and not path.startswith(NOT_PRODUCT)
        and "/src/" in "/" + path
        and not is_test(path)
    )


def is_test(path):
    parts = path.split("/")
    return "tests" in parts or "examples" in parts or "benches" in parts or path.endswith(("/tests.rs", "_tests.rs"))


def production(text):
    """The lines outside `#[cfg(test)] mod … { … }`."""
    kept, lines, index = [], text.splitlines(), 0
    while index < len(lines):
        if lines[index].strip() == "#[cfg(test)]" and index + 1 < len(lines):
            following = lines[index + 1]
            indent = len(following) - len(following.lstrip())
            if following.rstrip().endswith("{"):
                index += 2
                while index < len(lines) and lines[index] != " " * indent + "}":
                    index += 1
            else:
                index += 1
            index += 1
            continue
        kept.append(lines[index])
        index += 1
    return kept


def doc_words(lines):
    """(line number, text) of each line of documentation outside code blocks."""
    in_code = False
    for number, line in enumerate(lines, 1):
        match = re.match(r"\s*//[/!](.*)", line)
        if not match:
            in_code = False
            continue
        if match[1].strip().startswith("```"):
            in_code = not in_code
            continue
        if not in_code:
            yield number, match[1]


def functions(lines):
    for number, line in enumerate(lines):
        match = FN.match(line)
        if not match or line.rstrip().endswith(";"):
            continue
        end = number
        if not line.rstrip().endswith("}") or line.count("{") != line.count("}"):
            while end < len(lines) and lines[end] != match[1] + "}":
                if end > number and lines[end].startswith(match[1]) and lines[end].rstrip().endswith(";") and not lines[end].startswith(match[1] + " "):
                    break
                end += 1
        yield end - number + 1, match[2], number + 1


def crate_of(path):
    return path.split("/src/")[0] if not path.startswith("src/") else "."


def module_of(path):
    inner = path.split("src/", 1)[1].removesuffix(".rs").split("/")
    if inner[-1] in ("mod", "lib", "main"):
        inner.pop()
    return tuple(inner)


def use_paths(text):
    """Every path of `use` items and of expressions that begins with crate, super or self; and names that a file re-exports."""
    text = re.sub(r"//.*", "", text)
    for match in re.finditer(r"(pub(?:\([^)]*\))?\s+)?use\s+([^;]+);", text):
        for path in expand(re.sub(r"\s+", " ", match[2]).strip()):
            yield path, bool(match[1])
    body = re.sub(r"(pub(?:\([^)]*\))?\s+)?use\s+[^;]+;", "", text)
    for match in re.finditer(r"\b(?:crate|super|self)(?:::\w+)+", body):
        yield match[0], False


def expand(tree):
    brace = tree.find("{")
    if brace < 0:
        return [tree.split(" as ")[0].strip()]
    prefix, inner, depth, part, parts = tree[:brace], tree[brace + 1 : tree.rfind("}")], 0, "", []
    for char in inner:
        depth += (char == "{") - (char == "}")
        if char == "," and depth == 0:
            parts.append(part)
            part = ""
        else:
            part += char
    parts.append(part)
    return [prefix + rest for part in parts if part.strip() for rest in expand(part.strip())]


def absolute(path, module):
    parts = [p for p in path.split("::") if p]
    if parts[0] == "crate":
        return tuple(parts[1:])
    here = list(module)
    if parts[0] == "self":
        return tuple(here + parts[1:])
    while parts and parts[0] == "super":
        here = here[:-1]
        parts = parts[1:]
    return tuple(here + parts)


def circles(files):
    modules = {(crate_of(p), module_of(p)): p for p in files}
    exported, imports = {}, defaultdict(set)
    texts = {p: "\n".join(lines) for p, lines in files.items()}
    for path, text in texts.items():
        crate, module = crate_of(path), module_of(path)
        for used, public in use_paths(text):
            first = used.split("::")[0]
            if public and (first in ("crate", "super", "self") or (crate, module + (first,)) in modules):
                target = absolute(used, module) if first in ("crate", "super", "self") else module + tuple(used.split("::"))
                exported[(crate, module + (target[-1],))] = target

    def resolve(crate, target):
        for _ in range(8):
            if (crate, target) in exported and (crate, target) not in modules:
                target = exported[(crate, target)]
            else:
                break
        for length in range(len(target), -1, -1):
            if (crate, target[:length]) in modules:
                # A name that the module re-exports from below.
                if length < len(target) and (crate, target[: length + 1]) in exported:
                    return resolve(crate, exported[(crate, target[: length + 1])])
                return modules[(crate, target[:length])]
        return None

    for path, text in texts.items():
        crate, module = crate_of(path), module_of(path)
        for used, public in use_paths(text):
            first = used.split("::")[0]
            if public:
                continue
            if first in ("crate", "super", "self"):
                target = absolute(used, module)
            elif (crate, module + (first,)) in modules:
                target = module + tuple(used.split("::"))
            else:
                continue
            if target and target[-1] == "*":
                target = target[:-1]
            found = resolve(crate, target)
            if found and found != path:
                imports[path].add(found)
    return components(files, imports)


def components(nodes, edges):
    """Tarjan, without recursion."""
    index, low, stack, on, found, counter = {}, {}, [], set(), [], 0
    for root in nodes:
        if root in index:
            continue
        work = [(root, iter(sorted(edges[root])))]
        index[root] = low[root] = counter
        counter += 1
        stack.append(root)
        on.add(root)
        while work:
            node, rest = work[-1]
            for following in rest:
                if following not in index:
                    index[following] = low[following] = counter
                    counter += 1
                    stack.append(following)
                    on.add(following)
                    work.append((following, iter(sorted(edges[following]))))
                    break
                if following in on:
                    low[node] = min(low[node], index[following])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    circle = []
                    while True:
                        top = stack.pop()
                        on.discard(top)
                        circle.append(top)
                        if top == node:
                            break
                    if len(circle) > 1:
                        found.append(sorted(circle))
    return sorted(found, key=len, reverse=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--where", choices=["words", "types", "circles", "functions", "files"], type=str.lower)
    parser.add_argument("--under", default="")
    options = parser.parse_args()
    paths = [p for p in tracked() if is_product(p) and p.startswith(options.under)]
    files = {p: (ROOT / p).read_text().splitlines() for p in paths}
    files = {p: production("\n".join(lines)) for p, lines in files.items()}

    words, hits, by_file = 0, 0, defaultdict(list)
    for path, lines in files.items():
        for number, text in doc_words(lines):
            words += len(re.findall(r"[A-Za-z][\w'’-]*", text))
            # A name in backticks is a name.
            for match in WORDS.finditer(re.sub(r"`[^`]*`", "", text)):
                hits += 1
                by_file[path].append(f"{number}: {text.strip()}")
    types = defaultdict(list)
    restricted = 0
    for path, lines in files.items():
        restricted += sum(len(re.findall(r"\bpub\((?:super|in [^)]*)\)", line)) for line in lines)
        for number, line in enumerate(lines, 1):
            match = TYPE.match(line)
            # Associated types stand deeper and end with `;` or `=`.
            if match and not (line.startswith("    ") and re.search(r"\btype\b", line)):
                types[match[1]].append(f"{path}:{number}")
    repeated = {n: p for n, p in types.items() if len(p) > 1 and n not in REPEATABLE}
    lengths = [len(lines) for lines in files.values()]
    sizes = sorted(
        (size, f"{path}:{number} {name}") for path, lines in files.items() for size, name, number in functions(lines)
    )
    round_trips = circles(files)

    print(f"documentation: {words} words, {hits} of the vague words, {1000 * hits / max(words, 1):.1f} per 1,000")
    print(f"type names with more than one meaning: {len(repeated)} of {len(types)}")
    print(f"files: {len(files)}, median {statistics.median(lengths):.0f} lines; pub(super) and pub(in …): {restricted}")
    print(f"production lines: {sum(lengths)}")
    print(f"circles of files: {len(round_trips)}, largest {max(map(len, round_trips), default=0)}")
    print(f"functions: {len(sizes)}, p99 {sizes[int(len(sizes) * 0.99)][0]}, longest {sizes[-1][0]}")

    if options.where == "words":
        for path in sorted(by_file, key=lambda p: -len(by_file[p])):
            print(f"\n{path}: {len(by_file[path])}")
            print("\n".join("  " + line for line in by_file[path]))
    if options.where == "types":
        for name in sorted(repeated, key=lambda n: -len(repeated[n])):
            print(f"{name}: {'  '.join(repeated[name])}")
    if options.where == "circles":
        for circle in round_trips:
            print(f"{len(circle)}: {' '.join(circle)}")
    if options.where == "functions":
        print("\n".join(f"{size} {place}" for size, place in reversed(sizes[-25:])))
    if options.where == "files":
        print("\n".join(f"{len(lines)} {path}" for path, lines in sorted(files.items(), key=lambda f: len(f[1]))))


if __name__ == "__main__":
    main()
