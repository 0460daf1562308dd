"""The Lua scripts of the Redis journal: each is one atomic step on a conversation, on the jobs or on the totals.

A conversation has nine keys with its id as their hash tag, so that they share a cluster slot and expire together:

- `meta`, `head`, `messages`, `frames`: hashes by turn id.
- `speaking`, `order`: sorted sets of turn ids by position. `speaking` holds only speaking turns, `order` all turns.
- `state`, `metadata`: hashes by field.
- `info`: a hash with the agent, and the times of the first turn, the last turn, and the last write of the state or the
  metadata.

Each request to run BEGIN, CLAIM, SAVE, ENQUEUE, LEASE or ADD_TOTALS has a unique request id. So the script is not
applied twice if the request is sent again after a lost reply.

A turn's meta is "status owner attempt position tokens revision token saved". `tokens` is the estimated size of the turn
in tokens of a model. `revision` counts the writes of the turn. `token` is the request id of the last BEGIN or CLAIM,
and `saved` the request id of the last SAVE. ENQUEUE, LEASE and ADD_TOTALS write their result into a key that ends in
`once:` and the request id. This key expires after a minute; the key of ADD_TOTALS after REMEMBER_SECONDS.
"""

from __future__ import annotations

from .base import LEAST_TOKENS, REMEMBER_SECONDS

PARTS = ("meta", "head", "messages", "frames", "speaking", "order", "state", "metadata", "info")
ANY = "*"
"""Stands for any value in the arguments of SAVE and MERGE. It is not JSON, so no value is equal to it."""

_COMMON = """
local META, HEAD, MESSAGES, FRAMES, SPEAKING, ORDER, STATE, METADATA, INFO = unpack(KEYS)

local function meta_of(id)
  local line = redis.call("HGET", META, id)
  if not line then return nil end
  local m = {}
  for word in string.gmatch(line, "%S+") do m[#m + 1] = word end
  return m
end

local function load(id)
  local line = redis.call("HGET", META, id)
  if not line then return {} end
  return {line, redis.call("HGET", HEAD, id), redis.call("HGET", MESSAGES, id) or "",
          redis.call("HGET", FRAMES, id) or ""}
end

local function keep(seconds)
  if tonumber(seconds) > 0 then
    for _, key in ipairs(KEYS) do redis.call("EXPIRE", key, seconds) end
  end
end

-- The arguments from `first` to `last` are fields of the state: name, new value and value before, one after the other.
-- Return whether a field has neither of the two values. With "ANY", it may have any value.
local function changed(first, last)
  for i = first, last, 3 do
    local stored = redis.call("HGET", STATE, ARGV[i])
    if stored and ARGV[i + 2] ~= "ANY" and stored ~= ARGV[i + 1] and stored ~= ARGV[i + 2] then return true end
  end
  return false
end

local function history(before, budget)
  local found, left, from = {}, tonumber(budget), 0
  while true do
    local ids = redis.call("ZREVRANGEBYSCORE", SPEAKING, before, "-inf", "LIMIT", from, 32)
    if #ids == 0 then return found end
    for _, id in ipairs(ids) do
      local turn = load(id)
      if #turn > 0 then
        local tokens = tonumber(string.match(turn[1], "^%S+ %S+ %S+ %S+ (%S+)"))
        -- Earlier releases counted the JSON, so the reader counts such a turn again.
        if #turn[3] > 0 and tokens >= math.floor(#turn[3] / 4) then tokens = LEAST_TOKENS end
        left = left - tokens
        if left < 0 and #found > 0 then return found end
        turn[4] = ""
        found[#found + 1] = turn
      end
    end
    from = from + 32
  end
end
""".replace("LEAST_TOKENS", str(LEAST_TOKENS)).replace("ANY", ANY)

BEGIN = (
    _COMMON
    + """
local id, owner, token, tokens, speaking, head, messages, budget, agent, started, seconds = unpack(ARGV)
local known = meta_of(id)
if known and known[7] ~= token then return {"known", load(id)} end
local position
if known then
  position = known[4]
else
  local now = redis.call("TIME")
  local next = now[1] * 1000000 + now[2]
  local last = redis.call("ZREVRANGE", ORDER, 0, 0, "WITHSCORES")
  if last[2] and next <= tonumber(last[2]) then next = tonumber(last[2]) + 1 end
  position = string.format("%.0f", next)
  redis.call("HSET", META, id, table.concat({"running", owner, 1, position, tokens, 1, token}, " "))
  redis.call("HSET", HEAD, id, head)
  redis.call("HSET", MESSAGES, id, messages)
  redis.call("ZADD", ORDER, position, id)
  if speaking == "1" then redis.call("ZADD", SPEAKING, position, id) end
  redis.call("HSETNX", INFO, "agent", agent)
  local first, latest = unpack(redis.call("HMGET", INFO, "started_at", "last_at"))
  if not first or tonumber(started) < tonumber(first) then redis.call("HSET", INFO, "started_at", started) end
  if not latest or tonumber(started) > tonumber(latest) then redis.call("HSET", INFO, "last_at", started) end
  keep(seconds)
end
return {"new", position, history("(" .. position, budget), redis.call("HGETALL", STATE),
        redis.call("HGETALL", METADATA)}
"""
)

CLAIM = (
    _COMMON
    + """
local id, former, attempt, owner, token = unpack(ARGV)
local m = meta_of(id)
if not m then return {} end
if m[7] ~= token then
  if m[1] ~= "running" or m[2] ~= former or m[3] ~= attempt then return {} end
  m[2], m[3], m[6], m[7] = owner, string.format("%d", m[3] + 1), string.format("%d", m[6] + 1), token
  redis.call("HSET", META, id, table.concat(m, " "))
end
return load(id)
"""
)

_ONCE = """
-- The last key tells what an earlier sending of this call did. It is removed from KEYS, whose other keys are data.
local TOKEN = table.remove(KEYS)

local function did()
  return redis.call("GET", TOKEN)
end

local function done(what, seconds)
  redis.call("SET", TOKEN, what, "EX", seconds)
end
"""

SAVE = (
    _COMMON
    + """
local id, owner, revision, token, status, tokens, head, messages, frames, seconds = unpack(ARGV, 1, 10)
local m = meta_of(id)
if m and m[8] == token then return 1 end
if not m or m[2] ~= owner then return 0 end
if revision ~= "" and m[6] ~= revision then return -1 end
-- The end has overtaken this earlier save.
if m[1] ~= "running" and status == "running" then return 2 end
if changed(11, #ARGV) then return 3 end
m[1], m[5], m[6], m[8] = status, tokens, string.format("%d", m[6] + 1), token
redis.call("HSET", META, id, table.concat(m, " "))
redis.call("HSET", HEAD, id, head)
redis.call("HSET", MESSAGES, id, messages)
redis.call("HSET", FRAMES, id, frames)
for i = 11, #ARGV, 3 do redis.call("HSET", STATE, ARGV[i], ARGV[i + 1]) end
keep(seconds)
return 1
"""
)

GET = _COMMON + "local turns = {} for i, id in ipairs(ARGV) do turns[i] = load(id) end return turns"

HISTORY = _COMMON + "return history(ARGV[1], ARGV[2])"

MERGE = (
    _COMMON
    + """
local needs_turn, turn, seconds, now, fields = unpack(ARGV, 1, 5)
if needs_turn == "1" and redis.call("HEXISTS", META, turn) == 0 then return 0 end
if changed(6, 5 + fields * 3) then return 3 end
for i = 6, #ARGV, 3 do redis.call("HSET", i < 6 + fields * 3 and STATE or METADATA, ARGV[i], ARGV[i + 1]) end
redis.call("HSET", INFO, "touched_at", now)
keep(seconds)
return 1
"""
)

FORGET = (
    _COMMON
    + """
local last = redis.call("HGET", INFO, "last_at") or redis.call("HGET", INFO, "touched_at")
if ARGV[1] ~= "" and last and tonumber(last) >= tonumber(ARGV[1]) then return -1 end
local count = redis.call("ZCARD", ORDER)
redis.call("DEL", unpack(KEYS))
return count
"""
)

_CLOCK = """
local host_now = tonumber(table.remove(ARGV, 1))

-- Convert a time of the caller's clock to the clock of Redis. A small difference is network latency.
local function ours(at)
  local time = redis.call("TIME")
  local ahead = time[1] + time[2] / 1000000 - host_now
  if math.abs(ahead) < 2 then ahead = 0 end
  return string.format("%.6f", at + ahead)
end
"""

ENQUEUE = (
    _ONCE
    + _CLOCK
    + """
local DUE, BODY, DONE, OF = unpack(KEYS)
if did() then return 1 end
if redis.call("HEXISTS", BODY, ARGV[1]) == 1 or redis.call("ZSCORE", DONE, ARGV[1]) then return 0 end
redis.call("HSET", BODY, ARGV[1], ARGV[2])
redis.call("ZADD", DUE, ours(ARGV[3]), ARGV[1])
redis.call("SADD", OF, ARGV[1])
redis.call("PERSIST", OF)
done(1, 60)
return 1
"""
)

LEASE = (
    _ONCE
    + _CLOCK
    + """
local DUE, BODY = unpack(KEYS)
if did() then
  for _, id in ipairs(redis.call("ZRANGE", DUE, 0, -1)) do
    if redis.sha1hex(id) == did() then return redis.call("HGET", BODY, id) end
  end
  return nil
end
local now = ours(ARGV[1])

local function wanted(id)
  for i = 3, #ARGV do
    if string.sub(id, 1, #ARGV[i]) == ARGV[i] then return true end
  end
  return #ARGV < 3
end

local function next_due()
  local from = 0
  while true do
    local ids = redis.call("ZRANGEBYSCORE", DUE, "-inf", now, "LIMIT", from, #ARGV < 3 and 1 or 100)
    if #ids == 0 then return nil end
    for _, id in ipairs(ids) do
      if wanted(id) then return id end
    end
    from = from + #ids
  end
end

local id = next_due()
if not id then return nil end
redis.call("ZADD", DUE, ours(ARGV[2]), id)
done(redis.sha1hex(id), 60)  -- A digest, because the id names the conversation, which may be forgotten.
return redis.call("HGET", BODY, id)
"""
)

RENEW = _CLOCK + 'return redis.call("ZADD", KEYS[1], "XX", ours(ARGV[2]), ARGV[1])'

SAVE_ATTEMPT = """
if redis.call("HEXISTS", KEYS[1], ARGV[1]) == 1 then redis.call("HSET", KEYS[1], ARGV[1], ARGV[2]) end
"""

SETTLE = (
    _CLOCK
    + """
local DUE, BODY, DONE, OF = unpack(KEYS)
local id, body, retry_at, remembered = unpack(ARGV)
if redis.call("HEXISTS", BODY, id) == 0 then return 0 end
if retry_at ~= "" then
  redis.call("HSET", BODY, id, body)
  redis.call("ZADD", DUE, ours(retry_at), id)
  return 1
end
redis.call("HDEL", BODY, id)
redis.call("ZREM", DUE, id)
redis.call("ZADD", DONE, ours(host_now), id)
redis.call("ZREMRANGEBYSCORE", DONE, "-inf", ours(host_now - remembered))
redis.call("EXPIRE", OF, remembered)
return 1
"""
)

FORGET_JOBS = """
local DUE, BODY, DONE, OF = unpack(KEYS)
for _, id in ipairs(redis.call("SMEMBERS", OF)) do
  redis.call("HDEL", BODY, id)
  redis.call("ZREM", DUE, id)
  redis.call("ZREM", DONE, id)
end
return redis.call("DEL", OF)
"""

ADD_TOTALS = (
    _ONCE
    + """
local INDEX, TOTALS = unpack(KEYS)
if not did() then
  redis.call("ZADD", INDEX, 0, ARGV[1])
  for i = 2, #ARGV, 2 do redis.call("HINCRBYFLOAT", TOTALS, ARGV[i], ARGV[i + 1]) end
  done(1, REMEMBER_SECONDS)
end
return redis.call("HGETALL", TOTALS)
""".replace("REMEMBER_SECONDS", str(REMEMBER_SECONDS))
)
