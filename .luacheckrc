-- Strict globals: a script sees the standard library of LuaJIT and nothing else.
std = "luajit"
max_line_length = 100
files["spec"] = { std = "+busted" }
exclude_files = { "build" }
