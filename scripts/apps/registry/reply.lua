-- SPDX-License-Identifier: Apache-2.0
--
-- Replies of the registry: every one names the version of the protocol, errors too, since old
-- clients take a server without it for something else.
local gate = require "tidegate"

-- Adds to the headers that it is given.
return function(status, body, headers)
  headers = headers or {}
  headers["Docker-Distribution-API-Version"] = "registry/2.0"
  return gate.reply(status, body, headers)
end
