-- The bell: who waits has announced itself in b, and is told by a message on a channel of its own. Nobody waits: nothing is sent.
--
-- Of those who wait, the one who looks soonest is left asleep, since it will notice in time what comes due; the others are spare.
-- `look`: "?" when it may be for nothing: then whoever is told looks before it claims.
local function ring(g, count, look)
  local b = KEYS[g + 2]
  if count < 1 or call('EXISTS', b) == 0 then return end
  call('ZREMRANGEBYSCORE', b, '-inf', now - 1)
  for _, who in ipairs(call('ZREVRANGEBYSCORE', b, '+inf', now, 'LIMIT', 0, 64)) do
    call('ZREM', b, who)
    -- pcall: a user who may not publish still may put. Zero have heard it: that process is gone, and another is told.
    local heard = redis.pcall('PUBLISH', channel .. sub(who, 1, 16), (look or '') .. sub(who, 18) .. ' ' .. b)
    if heard ~= 0 then
      count = count - 1
      if count == 0 then return end
    end
  end
end
-- Something comes due at that moment: somebody who waits must be awake by then.
local function tell(g, at)
  local first = call('ZRANGEBYSCORE', KEYS[g + 2], now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  if first[2] and tonumber(first[2]) > at then ring(g, 1, '?') end
end
