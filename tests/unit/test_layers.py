"""Imports point down only, and what is heavy loads only inside functions."""

import ast
from pathlib import Path

import ragtune

ROOT = Path(ragtune.__file__).parent
LAYERS = [
    {"types", "protocols", "errors", "config", "words", "clock", "visibility"},
    {"sentences", "places", "question", "versions"},
    {"models", "store"},
    {"units"},
    {"quoting", "support", "claims", "prompting", "conflict"},
    {"ingest", "retrieve", "evidence", "cite", "calibrate", "follow_up"},
    {"ask", "status"},
    {"workspace"},
    {"tune"},
    {"compare", "route", "export"},
    {
        "render", "console", "demo", "demo_compare", "cli", "cli_demo", "cli_documents",
        "cli_questions", "cli_tune",
        "cli_examples", "cli_models", "cli_compare", "cli_route", "cli_export",
        "cli_browser", "cli_serve", "cli_users", "server",
    },
]  # fmt: skip
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
DATA_ONLY = {"sample", "data", "__init__"}
HEAVY = {
    "torch", "transformers", "peft", "onnx", "onnxruntime", "xllamacpp", "tokenizers", "tantivy",
    "numkong", "sqlalchemy", "pypdfium2", "docx", "pptx", "lxml", "selectolax", "watchfiles",
    "httpx", "rich", "gguf", "accelerate", "matplotlib", "pyarrow", "safetensors", "jinja2",
    "fastapi", "starlette", "uvicorn", "pydantic", "mcp", "prometheus_client", "argon2", "orjson",
}  # fmt: skip
# Only what surrounds one heavy library may import it at the top; it then counts as heavy itself.
WRAPPERS = (
    "ragtune.ingest.sql_connection", "ragtune.ingest.parse.", "ragtune.tune.network",
    "ragtune.server.",
)  # fmt: skip


def dotted(path: Path) -> str:
    return "ragtune." + ".".join(path.relative_to(ROOT).with_suffix("").parts)


def modules() -> list[tuple[str, Path]]:
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        top = path.relative_to(ROOT).parts[0].removesuffix(".py")
        if top not in DATA_ONLY:
            found.append((top, path))
    return found


def imports(node: ast.AST, inside: bool = False) -> list[tuple[str, bool]]:
    """(module, whether it is inside a function or a TYPE_CHECKING block) of every import below."""
    found = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            found += [(a.name, inside) for a in child.names]
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "imports are absolute"
            module = child.module or ""
            names = [f"{module}.{a.name}" for a in child.names] if module == "ragtune" else [module]
            found += [(name, inside) for name in names]
        typing_only = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
        found += imports(child, inside or function or typing_only)
    return found


def test_every_module_has_a_layer() -> None:
    assert {top for top, _ in modules()} <= set(LEVEL)


def test_imports_point_down() -> None:
    wrong = []
    for top, path in modules():
        for name, _ in imports(ast.parse(path.read_text("utf-8"))):
            parts = name.split(".")
            if parts[0] != "ragtune" or len(parts) == 1:
                continue
            target = parts[1]
            if target not in LEVEL or target == top:
                continue
            peers = LEVEL[target] == LEVEL[top] and LEVEL[top] in (0, len(LAYERS) - 1)
            if LEVEL[target] >= LEVEL[top] and not peers:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not wrong


def at_top(path: Path) -> set[str]:
    return {name for name, inside in imports(ast.parse(path.read_text("utf-8"))) if not inside}


def test_heavy_imports_are_inside_functions() -> None:
    tops = {dotted(path): at_top(path) for _, path in modules()}
    heavy: set[str] = set()
    while True:  # what imports something heavy at its top is heavy
        more = {
            module
            for module, names in tops.items()
            if any(name.split(".")[0] in HEAVY or name in heavy for name in names)
        }
        if more == heavy:
            break
        heavy = more
    assert not sorted(module for module in heavy if not module.startswith(WRAPPERS))
