-- Strict globals: a script sees the standard library of LuaJIT and nothing else.
std = "luajit"
max_line_length = 100
files["spec"] = { std = "+busted" }
exclude_files = { "build" }
-- what `tidegate spec` gives to the specs of a policy (docs/policies.md)
files["examples/policies/*/*_spec.lua"] = {
  read_globals = { "describe", "it", "before_each", "request", "push", "at", "advance",
    "on_http", "assert" },
}
