-- needs: words base
-- put: jobs without a unique key. ARGV 4 not empty: the switch was looked at a moment ago; then id and blob of each.
-- Answers the time, or {why it is switched off}, or {time, number in the batch, created, due of one that was here, ...}; or -1, and nothing
-- is stored: the queue was dropped, so name it again (named) and repeat.
local plain = call('EXISTS', KEYS[1], KEYS[2]) == 0 -- no switch is off and nobody waits: most of the time
if not plain then
  local why, dropped = unpack(call('HMGET', KEYS[1], 'p', 'x'))
  if why and ARGV[4] == '' then return {why} end
  if dropped then return -1 end
end
local fresh = false
if #ARGV == 6 and byte(ARGV[6], 2) % 16 < TIMED then -- one, due now: most puts
  local id, stamp = ARGV[5], pack('>I8', now)
  if call('HSETNX', KEYS[3], id, stamp .. stamp .. ARGV[6]) == 1 then
    local failed = redis.pcall('ZADD', KEYS[4], 0, sub(ARGV[6], 1, 1) .. stamp .. id)
    if failed ~= 1 then
      call('HDEL', KEYS[3], id)
      return failed
    end
    if plain then return now end
    fresh = true
  end
end
-- parts: has ring
if fresh then
  ring(0, 1)
  return now
end
local ids = {}
for i = 5, #ARGV, 2 do ids[#ids + 1] = ARGV[i] end
local here, known, soonest, ready = call('HMGET', KEYS[3], unpack(ids)), {}, nil, 0
local records, places, answer = {}, {}, {now}
local stamp = pack('>I8', now)
local both = stamp .. stamp
for n, id in ipairs(ids) do
  local blob = ARGV[4 + 2 * n]
  local priority, flags = byte(blob, 1, 2)
  if here[n] or known[id] then
    local record = here[n] or known[id]
    local place = call('HGET', KEYS[5], id) or ' ' .. record
    answer[#answer + 1] = n
    answer[#answer + 1] = read('>I8', record, 9)
    answer[#answer + 1] = read('>I8', place, 2)
  else
    local record, place
    if has(flags, TIMED) then
      local delay, _, _, created, due = read('>ddddd', blob, 3)
      if created == 0 then created = now end
      if due == 0 then due = created + delay end
      record = pack('>I8I8', due, created) .. blob
      place = char(priority) .. sub(record, 1, 8)
      if due <= now then ready = ready + 1 elseif not soonest or due < soonest then soonest = due end
    else
      record = both .. blob
      place = char(priority) .. stamp
      ready = ready + 1
    end
    known[id] = record
    records[#records + 1] = id
    records[#records + 1] = record
    places[#places + 1] = 0
    places[#places + 1] = place .. id
  end
end
if #places > 0 then
  call('ZADD', KEYS[4], unpack(places)) -- first: a place without a record is passed over, a record without a place would be lost
  call('HSET', KEYS[3], unpack(records))
  if not plain then
    ring(0, ready)
    if soonest then tell(0, soonest) end
  end
end
if #answer == 1 then return now end
return answer
