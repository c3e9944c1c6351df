-- SPDX-License-Identifier: Apache-2.0
--
-- The layouts that specs of the registry run over, a list of
--   name      for people
--   options   the text of the registry's options that choose it
--   below     where its upload sessions are: a function of the repository
--   growing   a pattern of the file that grows while a body comes
--   long      does it take SHA-512?
return {
  {
    name = "distribution", options = "", long = true,
    below = function(repo) return "docker/registry/v2/repositories/" .. repo .. "/_uploads" end,
    growing = "^docker/.*/_uploads/[^/]+/data$",
  },
  {
    name = "zuul", options = 'layout = require "layouts.zuul",',
    below = function() return "_local/uploads" end,
    growing = "^%.tidegate/tmp/",
  },
  { -- of an operator whose store cannot append
    name = "distribution in parts", long = true,
    options = [[ layout = require("layouts.distribution").with { uploads = "parts" }, ]],
    below = function(repo) return "docker/registry/v2/repositories/" .. repo .. "/_uploads" end,
    growing = "^%.tidegate/tmp/",
  },
}
