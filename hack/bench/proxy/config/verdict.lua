-- Checks a request's Bearer token for nginx (lua-nginx-module) and keeps the verdict: a text/template of Go. The checks are
-- those that haproxy.cfg makes; aud is one string. A verdict is kept by the whole token and ends at exp.
local base64 = require "ngx.base64"
local digest = require "openssl.digest"
local json = require "cjson.safe"
local pkey = require "openssl.pkey"

local verdicts = ngx.shared.verdicts
local file = assert(io.open("{{.Key}}"))
local key = pkey.new(file:read("*a"))
file:close()

-- object decodes a part of a token to a table.
local function object(part)
  local text = base64.decode_base64url(part)
  local value = text and json.decode(text)
  return type(value) == "table" and value or nil
end

-- lifetime is how many seconds a token is good for, nil if it is not good.
local function lifetime(token)
  local head, body, mac = token:match("^([%w_-]+)%.([%w_-]+)%.([%w_-]+)$")
  local header, claims = head and object(head), body and object(body)
  if not header or not claims or header.alg ~= "{{.Alg}}" then return nil end
  if claims.iss ~= "https://login.example.com" or claims.aud ~= "orders" then return nil end
  local now, exp, nbf = ngx.time(), claims.exp, claims.nbf
  if type(exp) ~= "number" or exp <= now then return nil end
  if nbf ~= nil and (type(nbf) ~= "number" or nbf > now) then return nil end
  local signature = base64.decode_base64url(mac)
  local signed = digest.new("sha256"):update(head .. "." .. body)
  if not signature or not key:verify(signature, signed) then return nil end
  return exp - now
end

return function()
  local header = ngx.var.http_authorization
  local token = header and header:match("^Bearer ([^ ]+)$")
  if not token then return ngx.exit(401) end
  if verdicts:get(token) then return end
  local seconds = lifetime(token)
  if not seconds then return ngx.exit(401) end
  verdicts:set(token, true, seconds)
end
