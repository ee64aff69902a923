-- What time has done: leases that ran out, done jobs that may be forgotten, dead ones kept long enough.
local function remember(g, id, attempt)
  local all = (call('HGET', KEYS[g + 8], id) or '') .. pack('>I4', #attempt) .. attempt
  local starts, at = {}, 1
  while at <= #all do
    starts[#starts + 1] = at
    at = at + 4 + read('>I4', all, at)
  end
  if #starts > 10 then all = sub(all, starts[#starts - 9]) end
  call('HSET', KEYS[g + 8], id, all)
end
-- The jobs of a queue whose leases are over wait again, at their old place, with a death more.
local function rescue(g)
  local late = call('ZRANGEBYSCORE', KEYS[g + 6], '-inf', boot, 'LIMIT', 0, 500)
  for _, id in ipairs(late) do
    local mark = call('HGET', KEYS[g + 5], id)
    call('ZREM', KEYS[g + 6], id)
    if mark and #mark > 18 then
      local attempts, deaths, flags = read('>I4I4B', mark, 10)
      if not has(flags, HISTORY) then flags = flags + HISTORY end
      if has(flags, LIMITED) then flags = flags - LIMITED end
      local gives = has(flags, HOLDS) and width(g) > 1 -- else it keeps its lane until it has ended
      if gives then flags = flags - HOLDS end
      call('ZADD', KEYS[g + 4], 0, sub(mark, 1, 9) .. id)
      call('HSET', KEYS[g + 5], id, sub(mark, 1, 9) .. pack('>I4I4B', attempts, deaths + 1, flags))
      remember(g, id, 'L' .. pack('>I4', attempts) .. sub(mark, 27, 34) .. pack('>I8', now) .. sub(mark, 35))
      local record = gives and call('HGET', KEYS[g + 3], id)
      if record then release(g, id, record) end
    end
  end
  return #late
end
-- The key of a record, and letting go of it if it is this job that holds it.
local function key_of(record) return sub(record, 61, 60 + read('>I2', record, 59)) end
local function free(g, id, record)
  local key = key_of(record)
  if call('HGET', KEYS[g + 7], key) == id then call('HDEL', KEYS[g + 7], key) end
end
-- Everything of a job but its place in a zset.
local function purge(g, id)
  local record = call('HGET', KEYS[g + 3], id)
  local flags = record and byte(record, 18) or 0
  if has(flags, KEY) then free(g, id, record) end
  call('HDEL', KEYS[g + 3], id)
  call('HDEL', KEYS[g + 5], id)
  call('HDEL', KEYS[g + 8], id, 'r' .. id)
  if flags >= LANE then release(g, id, record) end
end
-- Those whose alarm is over leave, if they wait. Answers when the next one is; nil: there is none.
local function alarmed(g)
  for _ = 1, 100 do
    local first = alarms(g)
    if not first then
      call('HDEL', KEYS[g + 1], 'a')
      return nil
    end
    local id = sub(first, 11)
    if read('>I8', first, 3) > now then return read('>I8', first, 3) end
    call('ZREM', KEYS[g + 11], first)
    local record, mark = call('HGET', KEYS[g + 3], id), call('HGET', KEYS[g + 5], id)
    local ends = record and expires(record)
    if ends and ends <= now and mark and #mark == 18 and has(byte(mark, 18), HOLDS) then
      call('ZREM', KEYS[g + 4], sub(mark, 1, 9) .. id)
      purge(g, id)
    end
  end
  return now
end
local function sweep(g, dead_keep)
  for _, id in ipairs(call('ZRANGEBYSCORE', KEYS[g + 10], '-inf', now, 'LIMIT', 0, 100)) do
    call('ZREM', KEYS[g + 10], id)
    purge(g, id)
  end
  if dead_keep > 0 then
    for _, id in ipairs(call('ZRANGEBYSCORE', KEYS[g + 9], '-inf', now - dead_keep, 'LIMIT', 0, 100)) do
      call('ZREM', KEYS[g + 9], id)
      purge(g, id)
    end
  end
end
