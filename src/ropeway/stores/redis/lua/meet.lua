-- A claim meets a job that has a ttl or a lane. Whether it may be taken; if not it is gone, or parked. `wanted`: whether there is room for it.
local parks, entered, holders = 0, {}, {}
local function meet(g, id, record, member, old, wanted)
  local ends = expires(record)
  if ends and ends <= now then
    call('ZREM', KEYS[g + 4], member)
    purge(g, id)
    return false
  end
  if byte(record, 18) < LANE or (old and has(byte(old, 18), HOLDS)) then return true end
  local lane = lane_of(record)
  if places(g, lane) - (entered[lane] or 0) < 1 then
    park(g, lane, member)
    parks = parks + 1
    return false
  end
  if wanted then
    entered[lane] = (entered[lane] or 0) + 1
    holders[#holders + 1] = 0
    holders[#holders + 1] = lane .. '\0' .. id
  end
  return true
end
-- Those that were taken have their places in the lanes; how many were parked in this call.
local function settle(g)
  if #holders > 0 then call('ZADD', KEYS[g + 11], unpack(holders)) end
  entered, holders = {}, {}
  return parks
end
