-- Lanes and limits. A job whose lane is full is parked where it is met, so that it is passed over only once; where a lane gets a place, the
-- first of its parked ones waits again. Jobs without a lane and queues without limits cost nothing of all this.
local freed = 0 -- how many wait again
local widths = {}
-- The limits as they are kept: how many of the queue run, how many of each lane.
local function limits_of(kept)
  local running, lane = string.match(kept or '', '^(%d+) (%d+)$')
  return tonumber(running) or 0, tonumber(lane) or 1
end
local function width(g)
  if not widths[g] then
    local _, lane = limits_of(call('HGET', KEYS[g + 1], 'l'))
    widths[g] = lane
  end
  return widths[g]
end
-- The moment after which a record must not be handed out; nil: never.
local function expires(record)
  local flags = byte(record, 18)
  if not has(flags, TTL) then return nil end
  return read('>I8', record, 9) + read('>d', record, 27)
end
-- What stands in front of all that belongs to the lane of a record.
local function lane_of(record)
  local at = 61 + read('>I2', record, 59)
  return sub(record, at, at + 1 + read('>I2', record, at))
end
local function places(g, lane)
  return width(g) - call('ZLEXCOUNT', KEYS[g + 11], '[' .. lane .. '\0', '(' .. lane .. '\1')
end
local function park(g, lane, member)
  call('ZREM', KEYS[g + 4], member)
  call('ZADD', KEYS[g + 12], 0, member)
  call('ZADD', KEYS[g + 11], 0, lane .. '\1' .. member)
end
local function unpark(g, parked)
  local member = sub(parked, -25)
  call('ZREM', KEYS[g + 11], parked)
  call('ZREM', KEYS[g + 12], member)
  call('ZADD', KEYS[g + 4], 0, member)
end
-- A job that keeps its lane while it waits, and whose ttl ends before it is due, must leave then: an alarm, in front of all lanes.
local function alarm(ends, id) return '\0\0' .. pack('>I8', ends) .. id end
local function alarms(g) return call('ZRANGEBYLEX', KEYS[g + 11], '[\0\0', '(\0\1', 'LIMIT', 0, 1)[1] end
-- The job has no place in its lane any more; whoever is next may come.
local function release(g, id, record)
  local lane, ends = lane_of(record), expires(record)
  call('ZREM', KEYS[g + 11], lane .. '\0' .. id)
  if ends and call('ZREM', KEYS[g + 11], alarm(ends, id)) == 1 and not alarms(g) then call('HDEL', KEYS[g + 1], 'a') end
  local free = places(g, lane)
  if free < 1 then return end
  for _, parked in ipairs(call('ZRANGEBYLEX', KEYS[g + 11], '[' .. lane .. '\1', '(' .. lane .. '\2', 'LIMIT', 0, free)) do
    unpark(g, parked)
    freed = freed + 1
  end
end
-- A waiting job leaves its place, wherever that is.
local function leave(g, id, record, place)
  if call('ZREM', KEYS[g + 4], place .. id) == 0 and byte(record, 18) >= LANE then
    call('ZREM', KEYS[g + 12], place .. id)
    call('ZREM', KEYS[g + 11], lane_of(record) .. '\1' .. place .. id)
  end
end
